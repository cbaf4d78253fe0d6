// Which (assignment, sample) pairs are the same measurement, and how unknown
// pairs are packed into tasks. Pure; nothing here depends on the fleet.
#ifndef EVOPRESS_SERVER_MEASUREMENT_PLAN_H_
#define EVOPRESS_SERVER_MEASUREMENT_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "evopress/v1/tasks.pb.h"
#include "search/strategy.h"

namespace evopress::server {

// Tokens that one task measures at most, all assignments counted; one pair
// may exceed it alone.
inline constexpr int64_t kMaxTaskTokens = 8192;

// Level index of a unit that keeps the model's weights.
inline constexpr uint16_t kKeepLevel = 0xFFFF;

// One measurement to make.
struct Pair {
  std::string levels;  // packed assignment
  int32_t sequence = 0;

  auto operator<=>(const Pair&) const = default;
};

// Names measurements: equal keys are the same computation, in every job.
class MeasurementKeys {
 public:
  // All arguments are copied.
  MeasurementKeys(const std::string& model_hash,
                  const std::string& numeric_class,
                  const v1::LevelTable& table);

  // Hash of what the assignment really runs: the modules that are dropped, and
  // the blob of every other layer that does not keep its weights. REQUIRES:
  // `levels` fits the table.
  std::string Phenotype(const std::string& levels) const;

  // 64 hex digits, from a Phenotype() and a sequence of a token set.
  std::string Key(const std::string& phenotype, const std::string& data_sha256,
                  int32_t sequence) const;

  // True if `levels` is one packed index per unit, each in the menu or keep.
  bool Fits(const std::string& levels) const;

 private:
  const std::string model_hash_;
  const std::string numeric_class_;
  const v1::LevelTable table_;
};

// Packs pairs into tasks: assignments that need the same sequences go
// together, in lexicographic order so that neighbours share a prefix; as many
// assignments as fit, then as many sequences. `pairs` must not repeat.
std::vector<v1::EvaluateTask> PackTasks(const v1::EvaluateTask& common,
                                        const std::vector<Pair>& pairs);

// The two halves of a task, by assignments if it has several, else by
// sequences. REQUIRES: it has more than one pair.
std::vector<v1::EvaluateTask> Split(const v1::EvaluateTask& task);

}  // namespace evopress::server

#endif  // EVOPRESS_SERVER_MEASUREMENT_PLAN_H_
