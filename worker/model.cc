#include "worker/model.h"

#include <utility>

namespace evopress::worker {

absl::StatusOr<Model> LoadModel(const std::string& path, Arithmetic arithmetic,
                                ThreadArena& arena) {
  auto tensors = LoadTensors(path);
  if (!tensors.ok()) return tensors.status();
  Model model{*std::move(tensors), arithmetic, {}, {}, {}};
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
    for (size_t b = 0; b < a.blocks.size(); ++b) {
      model.routers.emplace_back();
      if (a.blocks[b].experts == 0) continue;
      auto router =
          PackedMatrix::Create(Arithmetic::kF32, model.blocks[b].router,
                               a.blocks[b].experts, a.hidden);
      if (!router.ok()) return router.status();
      model.routers.back() = *std::move(router);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return model;
}

}  // namespace evopress::worker
