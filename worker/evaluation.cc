#include "worker/evaluation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/branching.h"
#include "worker/ops/kernels.h"
#include "worker/request_check.h"

namespace evopress::worker {

Engine::Engine(const Model& model, ThreadArena& arena,
               const EvaluatorOptions& options)
    : model_(model),
      arena_(arena),
      options_(options),
      weights_(model, options.memory_bytes),
      teachers_(options.memory_bytes / 4),
      runner_(model, arena) {}

// As many samples at a time as hidden states of all choices have room for.
std::vector<Engine::Samples> Engine::ChunkSamples(
    const std::vector<std::vector<int32_t>>& samples, int64_t choices) const {
  const int64_t row_bytes = model_.architecture.hidden * sizeof(float) *
                            std::max<int64_t>(choices, 1);
  const int64_t limit = options_.memory_bytes / 4;
  std::vector<Samples> chunks;
  int64_t bytes = 0;
  for (const auto& sample : samples) {
    const int64_t needed = PaddedRows(sample.size()) * row_bytes;
    if (chunks.empty() || bytes + needed > limit) {
      chunks.emplace_back();
      bytes = 0;
    }
    chunks.back().push_back(&sample);
    bytes += needed;
  }
  return chunks;
}

AlignedVector<uint8_t> Engine::FinalNorm(absl::Span<const float> hidden) {
  const Architecture& a = model_.architecture;
  const int64_t rows = hidden.size() / a.hidden;
  AlignedVector<uint8_t> out(hidden.size() * ElementBytes(model_.arithmetic));
  KernelsFor(model_.arithmetic)
      .rms_norm(hidden.data(), model_.final_norm.data(), a.norm_epsilon, rows,
                a.hidden, out.data());
  return out;
}

// The reference is one more choice, run only over samples not yet known.
absl::StatusOr<Engine::Teachers> Engine::Teach(const Samples& samples,
                                               ProgressMeter& meter) {
  std::map<std::vector<int32_t>, std::shared_ptr<const TeacherStates>> known;
  Samples unknown;
  for (const auto* sample : samples) {
    const auto [it, inserted] = known.try_emplace(*sample);
    if (!inserted) continue;
    it->second = teachers_.Find(*sample);
    if (it->second == nullptr) unknown.push_back(sample);
  }
  if (unknown.empty()) {
    meter.Skip(model_.architecture.blocks.size());
  } else {
    const WeightChoice reference;
    const WeightChoice* const choices[] = {&reference};
    std::vector<WalkState> states;
    absl::Status status = WalkModel(
        model_, arena_, runner_, weights_, choices, unknown, share_prefixes_,
        [&](int) { return meter.Step(); }, states);
    if (!status.ok()) return status;
    const int64_t dims = model_.architecture.hidden;
    const int64_t row_bytes = dims * ElementBytes(model_.arithmetic);
    std::vector<std::shared_ptr<TeacherStates>> made;
    std::vector<std::pair<int64_t, int64_t>> panels;  // sample, first row
    int64_t row = 0;
    for (size_t s = 0; s < unknown.size(); ++s) {
      const int64_t rows = PaddedRows(unknown[s]->size());
      made.push_back(std::make_shared<TeacherStates>());
      made[s]->final = FinalNorm(absl::Span<const float>(
          states[0].hidden.data() + row * dims, rows * dims));
      made[s]->positions.resize(unknown[s]->size() - 1);
      made[s]->mean_rows.resize(made[s]->positions.size() * dims);
      for (int64_t r = 0; r + 1 < int64_t(unknown[s]->size());
           r += kPanelRows) {
        panels.emplace_back(s, r);
      }
      row += rows;
    }
    status = arena_.ForEach(panels.size(), [&](int64_t i) {
      const auto [s, first] = panels[i];
      auto positions =
          absl::MakeSpan(made[s]->positions).subspan(first, kPanelRows);
      return model_.head->Teach(made[s]->final.data() + first * row_bytes,
                                options_.top_k, positions,
                                made[s]->mean_rows.data() + first * dims);
    });
    if (!status.ok()) return status;
    for (size_t s = 0; s < unknown.size(); ++s) {
      known[*unknown[s]] = made[s];
      teachers_.Insert(*unknown[s], made[s]);
    }
  }
  Teachers teachers;
  for (const auto* sample : samples) teachers.push_back(known[*sample]);
  return teachers;
}

// sums[c][s], with positions added up in their order. `students` are final
// hidden states of all samples, all under `head`.
absl::Status Engine::Compare(
    const LossHead& head,
    absl::Span<const AlignedVector<uint8_t>* const> students,
    const Samples& samples, const Teachers& teachers,
    std::vector<std::vector<search::SampleSums>>& sums) {
  const int64_t dims = model_.architecture.hidden;
  const int64_t row_bytes = dims * ElementBytes(model_.arithmetic);
  struct Panel {
    size_t sample;
    int64_t first_row;        // in the sample
    int64_t first_state_row;  // in the students' states
    std::vector<std::vector<PositionLosses>> losses;
  };
  std::vector<Panel> panels;
  int64_t row = 0;
  for (size_t s = 0; s < samples.size(); ++s) {
    for (int64_t r = 0; r + 1 < int64_t(samples[s]->size()); r += kPanelRows) {
      panels.push_back({s, r, row + r, {}});
      panels.back().losses.resize(students.size());
    }
    row += PaddedRows(samples[s]->size());
  }
  absl::Status status = arena_.ForEach(panels.size(), [&](int64_t i) {
    Panel& panel = panels[i];
    TeacherPanel known;
    if (!teachers.empty()) {
      const TeacherStates& teacher = *teachers[panel.sample];
      known = {.final = teacher.final.data() + panel.first_row * row_bytes,
               .mean_rows = teacher.mean_rows.data() + panel.first_row * dims,
               .positions = absl::MakeConstSpan(teacher.positions)
                                .subspan(panel.first_row, kPanelRows)};
    }
    std::vector<const void*> inputs;
    for (const AlignedVector<uint8_t>* student : students) {
      inputs.push_back(student->data() + panel.first_state_row * row_bytes);
    }
    return head.Compare(*model_.head, known, inputs,
                        absl::MakeConstSpan(*samples[panel.sample])
                            .subspan(panel.first_row + 1, kPanelRows),
                        absl::MakeSpan(panel.losses));
  });
  if (!status.ok()) return status;
  sums.assign(students.size(), std::vector<search::SampleSums>(samples.size()));
  for (const Panel& panel : panels) {
    for (size_t c = 0; c < students.size(); ++c) {
      search::SampleSums& sum = sums[c][panel.sample];
      for (const PositionLosses& losses : panel.losses[c]) {
        sum.kl += losses.kl;
        sum.topk_kl += losses.topk_kl;
        sum.nll += losses.nll;
        ++sum.positions;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::Measure(
    absl::Span<const WeightChoice* const> choices, const Samples& samples,
    const Teachers& teachers, ProgressMeter& meter,
    std::vector<std::vector<search::SampleSums>>& sums) {
  sums.assign(choices.size(), {});
  // The reference is known already and differs from itself by nothing.
  std::vector<const WeightChoice*> walked;
  std::vector<size_t> walked_index;
  for (size_t c = 0; c < choices.size(); ++c) {
    if (!choices[c]->IsReference()) {
      walked.push_back(choices[c]);
      walked_index.push_back(c);
      continue;
    }
    AlignedVector<uint8_t> reference;
    for (const auto& teacher : teachers) {
      reference.insert(reference.end(), teacher->final.begin(),
                       teacher->final.end());
    }
    std::vector<std::vector<search::SampleSums>> own;
    absl::Status status =
        Compare(*model_.head, {&reference}, samples, teachers, own);
    if (!status.ok()) return status;
    for (search::SampleSums& sum : own[0]) sum.kl = sum.topk_kl = 0;
    sums[c] = std::move(own[0]);
  }
  if (walked.empty()) return absl::OkStatus();
  std::vector<WalkState> states;
  absl::Status status = WalkModel(
      model_, arena_, runner_, weights_, walked, samples, share_prefixes_,
      [&](int) { return meter.Step(); }, states);
  if (!status.ok()) return status;
  std::vector<AlignedVector<uint8_t>> finals(states.size());
  status = arena_.ForEach(states.size(), [&](int64_t i) {
    finals[i] = FinalNorm(states[i].hidden);
    states[i].hidden = HiddenStates();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  // One head after the other, so that only one level of it is needed at a time:
  // the choices of each state that have it.
  std::map<std::string, std::map<size_t, std::vector<int>>> heads;
  for (size_t i = 0; i < states.size(); ++i) {
    for (const int choice : states[i].choices) {
      heads[HeadBlob(model_.architecture, *walked[choice])][i].push_back(
          choice);
    }
  }
  for (const auto& [blob, choices_of_state] : heads) {
    std::shared_ptr<const LossHead> level;
    if (!blob.empty()) {
      auto found =
          weights_.GetHead(HeadLayer(model_.architecture), blob, arena_);
      if (!found.ok()) return found.status();
      level = *std::move(found);
    }
    std::vector<const AlignedVector<uint8_t>*> students;
    for (const auto& [state, of_state] : choices_of_state) {
      students.push_back(&finals[state]);
    }
    std::vector<std::vector<search::SampleSums>> found;
    status = Compare(level == nullptr ? *model_.head : *level, students,
                     samples, teachers, found);
    if (!status.ok()) return status;
    size_t next = 0;
    for (const auto& [state, of_state] : choices_of_state) {
      for (const int choice : of_state)
        sums[walked_index[choice]] = found[next];
      ++next;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<EvaluateResponse> Engine::Evaluate(
    const EvaluateRequest& request, const Progress& progress) {
  absl::Status valid = CheckRequest(model_.architecture, request);
  if (!valid.ok()) return valid;
  // Equal choices are measured once.
  std::map<WeightChoice, int> distinct;
  for (const WeightChoice& choice : request.assignments) {
    distinct.emplace(choice, 0);
  }
  std::vector<const WeightChoice*> choices;
  for (auto& [choice, index] : distinct) {
    index = static_cast<int>(choices.size());
    choices.push_back(&choice);
  }
  // With many assignments even one sample's states may not fit: then groups.
  const int64_t row_bytes = model_.architecture.hidden * sizeof(float);
  int64_t longest = kPanelRows;
  for (const auto& s : request.samples) {
    longest = std::max(longest, PaddedRows(s.size()));
  }
  const int64_t group =
      std::clamp<int64_t>(options_.memory_bytes / 4 / (row_bytes * longest), 1,
                          std::max<int64_t>(choices.size(), 1));
  const std::vector<Samples> chunks =
      ChunkSamples(request.samples, std::min<int64_t>(group, choices.size()));
  const int64_t groups = (choices.size() + group - 1) / group;
  ProgressMeter meter(progress, static_cast<int64_t>(chunks.size()) *
                                    (1 + groups) *
                                    model_.architecture.blocks.size());
  std::vector<std::vector<search::SampleSums>> sums(choices.size());
  for (const Samples& samples : chunks) {
    if (choices.empty()) break;
    absl::StatusOr<Teachers> teachers = Teachers();
    if (!nll_alone_) teachers = Teach(samples, meter);
    if (!teachers.ok()) return teachers.status();
    for (size_t first = 0; first < choices.size(); first += group) {
      std::vector<std::vector<search::SampleSums>> part;
      absl::Status status =
          Measure(absl::MakeConstSpan(choices).subspan(first, group), samples,
                  *teachers, meter, part);
      if (!status.ok()) return status;
      for (size_t c = 0; c < part.size(); ++c) {
        sums[first + c].insert(sums[first + c].end(), part[c].begin(),
                               part[c].end());
      }
    }
  }
  EvaluateResponse response;
  for (const WeightChoice& choice : request.assignments) {
    response.results.push_back(sums[distinct[choice]]);
  }
  return response;
}

}  // namespace evopress::worker
