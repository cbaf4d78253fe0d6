#include "worker/bpe.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/tokenizer_unicode.h"

namespace evopress::worker {
namespace {

constexpr absl::string_view kMetaspace = "\xE2\x96\x81";

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 |
         static_cast<uint32_t>(right);
}

bool HoldsInnerMetaspace(absl::string_view token) {
  size_t pos = 0;
  while (pos < token.size() && token.substr(pos, 3) == kMetaspace) pos += 3;
  return token.find(kMetaspace, pos) != absl::string_view::npos;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BpeModel>> BpeModel::Make(BpeOptions options) {
  std::unique_ptr<BpeModel> model(new BpeModel(std::move(options)));
  BpeOptions& made = model->options_;
  bool inner_metaspace = made.ignore_merges || !made.vocab.contains(kMetaspace);
  if (model->by_score()) {
    std::vector<float> order;
    for (const auto& [id, score] : made.scores) order.push_back(score);
    std::sort(order.begin(), order.end(), std::greater<float>());
    order.erase(std::unique(order.begin(), order.end()), order.end());
    for (const auto& [token, id] : made.vocab) {
      const auto score = made.scores.find(id);
      if (score == made.scores.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("token ", id, " has no score"));
      }
      const auto rank = std::lower_bound(order.begin(), order.end(),
                                         score->second, std::greater<float>());
      model->by_text_[token] = {static_cast<int32_t>(rank - order.begin()), id};
      model->longest_ = std::max(model->longest_, token.size());
      inner_metaspace = inner_metaspace || HoldsInnerMetaspace(token);
    }
  } else {
    if (made.merges.size() > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError("too many merges");
    }
    const auto id_of = [&](const std::string& token) -> int32_t {
      const auto found = made.vocab.find(token);
      return found == made.vocab.end() ? -1 : found->second;
    };
    model->pairs_.reserve(made.merges.size());
    for (size_t rank = 0; rank < made.merges.size(); ++rank) {
      const auto& [left, right] = made.merges[rank];
      const int32_t left_id = id_of(left);
      const int32_t right_id = id_of(right);
      const int32_t id = id_of(left + right);
      if (left_id < 0 || right_id < 0 || id < 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "merge ", rank, " \"", left, " ", right, "\": token \"",
            left_id < 0    ? left
            : right_id < 0 ? right
                           : left + right,
            "\" is not in the vocabulary"));
      }
      // A pair listed twice keeps its later rank, as in `tokenizers`.
      model->pairs_[PairKey(left_id, right_id)] = {static_cast<int32_t>(rank),
                                                   id};
      inner_metaspace = inner_metaspace || HoldsInnerMetaspace(left + right);
    }
    made.merges = {};
  }
  model->may_cut_before_metaspace_ = !inner_metaspace;
  return model;
}

const BpeModel::Merge* BpeModel::Find(absl::string_view piece,
                                      const Symbol& left,
                                      const Symbol& right) const {
  if (by_score()) {
    const size_t size = static_cast<size_t>(left.size) + right.size;
    if (size > longest_) return nullptr;
    const auto found = by_text_.find(piece.substr(left.begin, size));
    return found == by_text_.end() ? nullptr : &found->second;
  }
  const auto found = pairs_.find(PairKey(left.id, right.id));
  return found == pairs_.end() ? nullptr : &found->second;
}

void BpeModel::AppendFallback(absl::string_view text,
                              std::vector<int32_t>* ids) const {
  if (options_.byte_fallback) {
    const bool all = std::all_of(text.begin(), text.end(), [&](char c) {
      return options_.byte_ids[static_cast<unsigned char>(c)] >= 0;
    });
    if (all) {
      for (const char c : text) {
        ids->push_back(options_.byte_ids[static_cast<unsigned char>(c)]);
      }
      return;
    }
  }
  if (options_.unk_id < 0) return;
  if (options_.fuse_unk && !ids->empty() && ids->back() == options_.unk_id) {
    return;
  }
  ids->push_back(options_.unk_id);
}

void BpeModel::MakeSymbols(absl::string_view piece,
                           std::vector<Symbol>* symbols) const {
  std::vector<int32_t> fallback;
  bool in_unknown = false;
  for (size_t pos = 0; pos < piece.size();) {
    const size_t size = std::min(Utf8Length(piece[pos]), piece.size() - pos);
    const absl::string_view character = piece.substr(pos, size);
    const auto found = options_.vocab.find(character);
    const auto add = [&](int32_t id) {
      symbols->push_back(
          {id, static_cast<int32_t>(pos), static_cast<int32_t>(size), 0, 0});
    };
    if (found != options_.vocab.end()) {
      add(found->second);
      in_unknown = false;
    } else if (by_score()) {
      add(-1);  // may still be merged; falls back to bytes at the end
    } else {
      fallback.clear();
      AppendFallback(character, &fallback);
      const bool unknown =
          fallback.size() == 1 && fallback[0] == options_.unk_id;
      if (!(unknown && in_unknown && options_.fuse_unk)) {
        for (const int32_t id : fallback) add(id);
      }
      in_unknown = unknown;
    }
    pos += size;
  }
  const int32_t count = static_cast<int32_t>(symbols->size());
  for (int32_t i = 0; i < count; ++i) {
    (*symbols)[i].previous = i - 1;
    (*symbols)[i].next = i + 1 < count ? i + 1 : -1;
  }
}

void BpeModel::Encode(absl::string_view piece,
                      std::vector<int32_t>* ids) const {
  if (options_.ignore_merges) {
    const auto whole = options_.vocab.find(piece);
    if (whole != options_.vocab.end()) {
      ids->push_back(whole->second);
      return;
    }
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  MakeSymbols(piece, &symbols);
  if (symbols.empty()) return;

  const auto worse = [](const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  };
  std::vector<Candidate> heap;
  const auto consider = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0) return false;
    const Merge* const merge =
        Find(piece, symbols[left], symbols[symbols[left].next]);
    if (merge == nullptr) return false;
    heap.push_back({merge->rank, left, merge->id});
    return true;
  };
  heap.reserve(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i) consider(i);
  std::make_heap(heap.begin(), heap.end(), worse);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), worse);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.left];
    if (left.size == 0 || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // Either side may have grown since the candidate was put on the heap.
    const Merge* const merge = Find(piece, left, right);
    if (merge == nullptr || merge->id != best.id) continue;
    left.id = best.id;
    left.size += right.size;
    right.size = 0;
    left.next = right.next;
    if (right.next >= 0) symbols[right.next].previous = best.left;
    if (consider(left.previous)) {
      std::push_heap(heap.begin(), heap.end(), worse);
    }
    if (consider(best.left)) std::push_heap(heap.begin(), heap.end(), worse);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next) {
    const Symbol& symbol = symbols[i];
    if (symbol.id >= 0) {
      ids->push_back(symbol.id);
    } else {
      AppendFallback(piece.substr(symbol.begin, symbol.size), ids);
    }
  }
}

}  // namespace evopress::worker
