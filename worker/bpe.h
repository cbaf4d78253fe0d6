// Byte pair encoding: starts from the characters of a piece of text and merges
// the best neighbouring pair until none is left (Sennrich et al., 1508.07909).
// The best pair is the one of lowest merge rank (Hugging Face, GPT-2) or whose
// union is the vocabulary entry of highest score (SentencePiece); among equals
// the leftmost. A heap over a linked list: O(n log n) for a piece of n
// characters.

#ifndef EVOPRESS_WORKER_BPE_H_
#define EVOPRESS_WORKER_BPE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evopress::worker {

struct BpeOptions {
  absl::flat_hash_map<std::string, int32_t> vocab;
  // Pairs to merge, best first. Ignored if `scores` is not empty.
  std::vector<std::pair<std::string, std::string>> merges;
  // SentencePiece: the score of each entry of `vocab`, by id.
  absl::flat_hash_map<int32_t, float> scores;
  // Characters outside the vocabulary become tokens "<0x00>"..."<0xFF>"; those
  // ids stand in `byte_ids` (-1: no such token).
  bool byte_fallback = false;
  std::array<int32_t, 256> byte_ids;
  // A piece that is in the vocabulary as a whole is not looked into.
  bool ignore_merges = false;
  int32_t unk_id = -1;    // for characters without any token; -1 drops them
  bool fuse_unk = false;  // neighbouring unknown characters give one token

  BpeOptions() { byte_ids.fill(-1); }
};

// Immutable and thread-safe.
class BpeModel {
 public:
  // InvalidArgument, naming it, for a merge whose parts or union are not in
  // the vocabulary.
  static absl::StatusOr<std::unique_ptr<BpeModel>> Make(BpeOptions options);

  // Appends the ids of `piece` to `ids`. REQUIRES: valid UTF-8 of less than
  // 2^31 bytes.
  void Encode(absl::string_view piece, std::vector<int32_t>* ids) const;

  // True if no token holds U+2581 after another character, so that a piece may
  // be cut before every U+2581 that follows another character without any
  // effect on the ids: long texts become short, cacheable pieces.
  bool may_cut_before_metaspace() const { return may_cut_before_metaspace_; }

 private:
  struct Merge {
    int32_t rank;
    int32_t id;
  };
  struct Symbol {
    int32_t id;     // -1: not in the vocabulary
    int32_t begin;  // first byte in the piece
    int32_t size;   // bytes; 0: merged into its left neighbour
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    int32_t rank;
    int32_t left;
    int32_t id;
  };

  explicit BpeModel(BpeOptions options) : options_(std::move(options)) {}

  bool by_score() const { return !options_.scores.empty(); }
  const Merge* Find(absl::string_view piece, const Symbol& left,
                    const Symbol& right) const;
  void MakeSymbols(absl::string_view piece, std::vector<Symbol>* symbols) const;
  void AppendFallback(absl::string_view text, std::vector<int32_t>* ids) const;

  BpeOptions options_;
  absl::flat_hash_map<uint64_t, Merge> pairs_;       // by rank
  absl::flat_hash_map<std::string, Merge> by_text_;  // by score
  size_t longest_ = 0;
  bool may_cut_before_metaspace_ = false;
};

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_BPE_H_
