#include "client/job_flags.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/strategy_flags.h"

namespace evopress::client {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 40;

// tokens / length as a number of samples of `flag`.
absl::StatusOr<int32_t> SamplesOf(const char* flag, int64_t tokens,
                                  int32_t length) {
  if (tokens < length || tokens % length != 0 ||
      tokens / length > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " ", tokens, " is not a positive multiple of --sequence-length ",
        length, "; use e.g. ", std::max<int64_t>(1, tokens / length) * length));
  }
  return static_cast<int32_t>(tokens / length);
}

// Flags that are some strategies' alone say in their help whose.
void AddStrategyFlags(CLI::App& app, StrategyFlags& strategy) {
  const auto own = [&app](const std::string& flag, auto& value,
                          const std::string& help) {
    return app.add_option(flag, value, absl::StrCat(UsersOf(flag), ": ", help));
  };
  app.add_option("--strategy", strategy.strategy, "Search strategy")
      ->check(
          CLI::IsMember({"guided", "evopress", "uniform", "random", "greedy",
                         "dp", "weighted-dp", "owl", "drop-kl", "drop-ppl",
                         "drop-cosine", "drop-norm", "drop-window",
                         "brute-force", "policy-gradient", "subnet-ga"}))
      ->capture_default_str();
  own("--generations", strategy.generations,
      "generations, of policy-gradient steps")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  own("--offspring", strategy.offspring,
      "children a generation, draws a step, or candidates in all")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  own("--survivors", strategy.survivors,
      "how many survive each stage, e.g. 8,2,1")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  own("--tokens", strategy.tokens,
      "tokens of each stage, e.g. 1024,2048,8192; subnet-ga measures on the "
      "first number, policy-gradient learns on the first and decides on the "
      "last, strategies without stages measure on the last. With several "
      "calibration texts the default grows to a sequence of each at least")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  own("--races", strategy.races, "races at most")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  own("--candidates", strategy.candidates, "candidates of a race")
      ->check(CLI::Range(2, 1 << 16))
      ->capture_default_str();
  own("--decision-tokens", strategy.decision_tokens,
      "tokens kept apart to decide between what was found and the plain "
      "solutions")
      ->check(CLI::Range(int64_t{4}, kMaxTokens))
      ->capture_default_str();
  own("--anchor", strategy.anchors,
      "an assignment within the budgets, as eval takes it; the winner is no "
      "worse on the tokens of the decision (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--max-tokens", strategy.max_tokens,
                 "Begins no round that would bring the search above these "
                 "tokens; the best so far wins. 0: no bound")
      ->check(CLI::Range(int64_t{0}, kMaxTokens))
      ->capture_default_str();
  own("--learning-rate", strategy.learning_rate,
      "step size; falls linearly to 0")
      ->capture_default_str();
  own("--parents", strategy.parents,
      "members that have children (default: half of --offspring)");
  own("--crossovers", strategy.crossovers,
      "children of two parents, the others are mutants (default: a quarter of "
      "--offspring)");
  own("--mutation-rate", strategy.mutation_rate,
      "probability that a mutant's gene is drawn anew")
      ->capture_default_str();
  own("--owl-lambda", strategy.owl_lambda,
      "how far the sparsity of a block may lie from the mean")
      ->capture_default_str();
  own("--fitness", strategy.fitness, "what is minimized")
      ->check(CLI::IsMember({"kl", "topk-kl", "ppl"}))
      ->capture_default_str();
  app.add_option("--seed", strategy.seed, "Seed of every random choice")
      ->capture_default_str();
  app.parse_complete_callback([&app, &strategy] {
    strategy.given.clear();
    for (const std::string& flag : FlagsOfStrategies()) {
      if (app.count(flag) > 0) strategy.given.push_back(flag);
    }
  });
}

}  // namespace

void AddDataFlags(CLI::App& app, DataFlags& flags) {
  app.add_option("--text", flags.text,
                 "Calibration text (UTF-8): statistics and search use "
                 "disjoint parts of it");
  app.add_option("--calibration", flags.calibration,
                 "Instead of --text: one of several calibration texts with its "
                 "weight, as [NAME=]FILE[:WEIGHT], e.g. code.txt:0.4; each "
                 "gives its share of the statistics and of every sample of the "
                 "search (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--held-out", flags.held_out,
                 "Text to report on, as NAME=FILE; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--held-out-tokens", flags.held_out_tokens,
                 "Tokens of each held-out text")
      ->check(CLI::Range(int64_t{2}, kMaxTokens))
      ->capture_default_str();
  app.add_option("--sequence-length", flags.sequence_length,
                 "Tokens of each sequence")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--statistics-tokens", flags.statistics_tokens,
                 "Tokens from which the quantizer's statistics are made")
      ->check(CLI::Range(int64_t{2}, kMaxTokens))
      ->capture_default_str();
  app.add_option("--search-tokens", flags.search_tokens,
                 "Tokens that the search draws from (default: up to 131072 of "
                 "what the statistics leave)")
      ->check(CLI::Range(int64_t{2}, kMaxTokens));
}

void AddMenuFlags(CLI::App& app, JobFlags& flags) {
  app.add_option(
         "--menu", flags.menu,
         "Levels each layer may take: METHOD:BITS[:gGROUP][:sym] (rtn, "
         "gptq) or PRUNER:SPARSITY (magnitude, wanda, sparsegpt, admm), "
         "comma-separated, e.g. gptq:2-6:g64,keep or "
         "sparsegpt:50:steps4x16384")
      ->capture_default_str();
  app.add_option("--group", flags.group,
                 "Layers that may exchange bits: of one size, of one name, or "
                 "all (none); every strategy keeps to it")
      ->check(CLI::IsMember({"size", "name", "none"}))
      ->capture_default_str();
  app.add_option("--tie", flags.ties,
                 "Layers that share one level: PATTERN[,PATTERN], where * is "
                 "any text and # a number that must be the same, e.g. "
                 "'*.layers.#.*.experts.*' (repeatable)")
      ->take_all();
  app.add_option("--drop", flags.drop,
                 "Modules that may be dropped: attn, mlp, attn,mlp or block "
                 "(both together); alone (--menu keep) or with any menu");
  app.add_option(
      "--units", flags.outer,
      "Units beside the linear layers of the blocks: embed (token "
      "embedding), head (output head) or embed,head. Where the model has one "
      "matrix for both, either makes it one unit whose level acts on both "
      "uses. They take the levels of --menu; an embedding of its own takes "
      "rtn instead of gptq, with the same bits, groups and scale search, as "
      "it has no inputs to take statistics of");
  app.add_option("--cost-table", flags.cost_tables,
                 "Costs of your own, e.g. nanoseconds: a file that begins "
                 "\"kind=decode unit=ns\", then a line \"LAYER LEVEL COST\" "
                 "for each layer (or pattern with *) and level; also CSV or "
                 "JSON (repeatable)")
      ->allow_extra_args(false);
}

void AddJobFlags(CLI::App& app, JobFlags& flags) {
  app.add_option("MODEL", flags.data.model,
                 "GGUF file or Hugging Face directory")
      ->required();
  AddDataFlags(app, flags.data);
  AddMenuFlags(app, flags);
  app.add_option("--target-bits,--target-bpw", flags.budget.target_bits,
                 "Budget: average code bits per weight of the searched "
                 "layers, e.g. 3; several, as 2.5,3,4, get a winner each from "
                 "one search. So do lists of the budgets below that are a "
                 "number");
  app.add_option("--max-size", flags.budget.max_size,
                 "Budget: size of the whole model, e.g. 90MB or 80MB,90MB");
  app.add_option("--target-sparsity", flags.budget.target_sparsity,
                 "Budget: at least this share of the searched layers' weights "
                 "is zero, e.g. 0.5");
  app.add_option("--budget", flags.budget.budgets,
                 "Budget KIND=LIMIT, KIND code_bits, stored_bits, model_bits "
                 "nonzeros or that of a cost table; may be repeated. The first "
                 "budget is the one that strategies spend in full")
      ->allow_extra_args(false);
  app.add_option("--drop-share", flags.budget.drop_share,
                 "Budget with --drop: the share of modules that must go, e.g. "
                 "0.25");
  app.add_option("--max-modules", flags.budget.max_modules,
                 "Budget with --drop: modules that may stay");
  AddStrategyFlags(app, flags.strategy);
  app.add_option("--max-hours", flags.max_hours,
                 "Ends the search after these hours of work; the best so far "
                 "wins, and the result is marked as not reproducible. Pauses "
                 "do not count. 0: no bound")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--from", flags.from,
                 "Start from what an earlier job has measured: its name, or a "
                 "directory that search has written (repeatable). It must have "
                 "searched the same levels on the same text; budget, seed and "
                 "strategy may differ")
      ->allow_extra_args(false);
  app.add_option("--domain-fitness", flags.data.domain_fitness,
                 "What is minimized over several calibration texts: the mean "
                 "by their weights, or that of the worst text, each relative "
                 "to the start point of evopress (mostly the uniform "
                 "assignment) on it")
      ->check(CLI::IsMember({"mean", "worst"}))
      ->capture_default_str();
  app.add_option("--name", flags.display_name, "Name of the job, for people");
  app.add_option("--priority", flags.priority,
                 "Its tasks go out before those of jobs of a lower priority; "
                 "jobs of equal priority take turns")
      ->check(CLI::Range(-1000, 1000))
      ->capture_default_str();
}

void AddLocalFlags(CLI::App& app, LocalFlags& flags) {
  app.add_option("--workers", flags.workers, "Worker loops in this process")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--threads", flags.threads,
                 "Threads of all workers together; 0: one per core")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_option("--memory", flags.memory,
                 "Bound of the cache of prepared weights, all workers together")
      ->capture_default_str();
  app.add_option("--data", flags.data_dir,
                 "Folder of the journal and the artifacts (default "
                 "~/.cache/evopress)");
  app.add_option("--evaluator", flags.evaluator,
                 "Engine to run as a child process (default: "
                 "evopress-evaluator-cpu beside this program)");
}

void AddExportFlags(CLI::App& app, ExportOptions& options) {
  app.add_option("--for", options.formats,
                 "Formats to write: evopress, json, hf")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--dtype", options.dtype, "hf: float32, float16 or bfloat16")
      ->capture_default_str();
  app.add_flag("--force", options.force, "Replace an earlier result in --out");
}

void AddJsonFlag(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "Print the result as JSON on standard output");
}

absl::StatusOr<search::Metric> ParseMetric(const std::string& text) {
  if (text == "kl") return search::Metric::kKl;
  if (text == "topk-kl") return search::Metric::kTopKKl;
  if (text == "ppl") return search::Metric::kNll;
  return absl::InvalidArgumentError(absl::StrCat(
      "fitness \"", text, "\" is unknown; use kl, topk-kl or ppl"));
}

std::vector<SearchNeed> NeededTokens(const StrategyFlags& flags) {
  if (flags.tokens.empty()) return {};
  std::vector<SearchNeed> needed = {
      {"--tokens",
       *std::max_element(flags.tokens.begin(), flags.tokens.end())}};
  if (flags.strategy == "guided") {
    needed.push_back({"--decision-tokens", flags.decision_tokens});
  }
  return needed;
}

std::string RaiseDefaultTokens(size_t domains, int32_t sequence_length,
                               StrategyFlags& flags) {
  if (domains < 2 || flags.tokens != kDefaultTokens) return "";
  // Stages must go on growing.
  int64_t least = static_cast<int64_t>(domains) * sequence_length;
  for (int64_t& tokens : flags.tokens) {
    tokens = std::max(tokens, least);
    least *= 2;
  }
  if (flags.tokens == kDefaultTokens) return "";
  return absl::StrCat("--tokens is ", absl::StrJoin(flags.tokens, ","),
                      " instead of ", absl::StrJoin(kDefaultTokens, ","),
                      ", so that every stage has a sequence of each of the ",
                      domains, " calibration texts");
}

absl::StatusOr<search::StrategyOptions> ToStrategyOptions(
    const StrategyFlags& flags, int32_t sequence_length) {
  if (absl::Status s = CheckFlagsOfStrategy(flags.strategy, flags.given);
      !s.ok()) {
    return s;
  }
  auto metric = ParseMetric(flags.fitness);
  if (!metric.ok()) return metric.status();
  // What measures nothing has no tokens that could be wrong.
  if (flags.strategy == "uniform") return search::UniformOptions{};
  if (flags.strategy == "dp") return search::DpOptions{};
  // Scores that are read off the uncompressed model.
  if (flags.strategy == "owl") return search::OwlOptions{flags.owl_lambda};
  if (flags.strategy == "drop-cosine") {
    return search::DropScoreOptions{search::ModelScore::kCosine};
  }
  if (flags.strategy == "drop-norm") {
    return search::DropScoreOptions{search::ModelScore::kMagnitude};
  }
  if (flags.strategy == "drop-window") {
    return search::DropScoreOptions{search::ModelScore::kWindows};
  }
  if (flags.tokens.empty()) {
    return absl::InvalidArgumentError("--tokens is empty");
  }
  auto last = SamplesOf("--tokens", flags.tokens.back(), sequence_length);
  if (!last.ok()) return last.status();
  if (flags.strategy == "random") {
    return search::RandomOptions{flags.offspring, *last, *metric};
  }
  if (flags.strategy == "greedy") return search::GreedyOptions{*last, *metric};
  // The one-shot scores of depth pruning, by the names of their metrics.
  if (flags.strategy == "drop-kl") {
    return search::GreedyOptions{*last, search::Metric::kKl};
  }
  if (flags.strategy == "drop-ppl") {
    return search::GreedyOptions{*last, search::Metric::kNll};
  }
  if (flags.strategy == "weighted-dp") {
    return search::WeightedDpOptions{*last, *metric};
  }
  if (flags.strategy == "brute-force") {
    return search::BruteForceOptions{*last, *metric};
  }
  auto first = SamplesOf("--tokens", flags.tokens.front(), sequence_length);
  if (!first.ok()) return first.status();
  if (flags.strategy == "policy-gradient") {
    search::PolicyGradientOptions options;
    options.steps = flags.generations;
    options.draws = flags.offspring;
    options.samples = *first;
    options.learning_rate = flags.learning_rate;
    options.final_samples = *last;
    options.fitness = *metric;
    return options;
  }
  if (flags.strategy == "subnet-ga") {
    search::SubnetGaOptions options;
    options.generations = flags.generations;
    options.population = flags.offspring;
    options.parents = flags.parents.value_or((flags.offspring + 1) / 2);
    options.crossovers = flags.crossovers.value_or(flags.offspring / 4);
    options.mutation_rate = flags.mutation_rate;
    options.samples = *first;
    options.fitness = *metric;
    return options;
  }
  if (flags.strategy == "guided") {
    search::GuidedOptions options;
    options.races = flags.races;
    options.candidates = flags.candidates;
    options.samples.clear();
    for (int64_t tokens : flags.tokens) {
      auto samples = SamplesOf("--tokens", tokens, sequence_length);
      if (!samples.ok()) return samples.status();
      options.samples.push_back(*samples);
    }
    auto decision =
        SamplesOf("--decision-tokens", flags.decision_tokens, sequence_length);
    if (!decision.ok()) return decision.status();
    options.decision_samples = *decision;
    // Less than a sequence is a bound too, and refused as too low.
    if (flags.max_tokens > 0) {
      options.max_samples =
          std::max<int64_t>(1, flags.max_tokens / sequence_length);
    }
    options.fitness = *metric;
    return options;
  }
  if (flags.strategy != "evopress") {
    return absl::InvalidArgumentError(
        absl::StrCat("strategy \"", flags.strategy, "\" is unknown"));
  }
  if (flags.survivors.size() != flags.tokens.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--survivors has ", flags.survivors.size(), " stages and --tokens ",
        flags.tokens.size(), "; give one number of each a stage"));
  }
  search::EvoPressOptions options;
  options.generations = flags.generations;
  options.offspring = flags.offspring;
  options.fitness = *metric;
  options.stages.clear();
  for (size_t i = 0; i < flags.tokens.size(); ++i) {
    auto samples = SamplesOf("--tokens", flags.tokens[i], sequence_length);
    if (!samples.ok()) return samples.status();
    options.stages.push_back({flags.survivors[i], *samples});
  }
  options.initial_samples = *last;
  return options;
}

}  // namespace evopress::client
