#include "worker/model.h"

#include <utility>

namespace evopress::worker {

absl::StatusOr<Model> LoadModel(const std::string& path, Arithmetic arithmetic,
                                ThreadArena& arena) {
  auto tensors = LoadTensors(path);
  if (!tensors.ok()) return tensors.status();
  Model model{*std::move(tensors), arithmetic, {}, {}};
  const Architecture& a = model.architecture;
  auto table = ReadTensor(*model.checkpoint, a.embedding, {a.vocab, a.hidden});
  if (!table.ok()) return table.status();
  model.embedding = Embedding(arithmetic, *table, a.hidden, a.embedding_scale);
  if (a.head != a.embedding) {
    table = ReadTensor(*model.checkpoint, a.head, {a.vocab, a.hidden});
    if (!table.ok()) return table.status();
  }
  // Packing goes through oneDNN, which must see one OpenMP thread.
  absl::Status status = arena.ForEach(1, [&](int64_t) -> absl::Status {
    auto head = LossHead::Create(arithmetic, *table, a.vocab, a.hidden,
                                 a.final_softcap);
    if (!head.ok()) return head.status();
    model.head = *std::move(head);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return model;
}

}  // namespace evopress::worker
