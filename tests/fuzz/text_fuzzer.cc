// Texts that people write: menus, levels, assignments, cost tables.
#include <cstdlib>
#include <string>

#include "client/cost_table.h"
#include "proto/conversions.h"
#include "search/assignment_text.h"
#include "search/drop_text.h"
#include "search/level_name.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/server/small_job.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace evopress;
  static const auto space = *proto::FromProto(server::SmallSpec().space());
  static const auto modules = *proto::FromProto(server::DropSpec().space());
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      auto level = search::ParseLevel(text);
      if (!level.ok()) break;
      auto again = search::ParseLevel(search::Format(*level));
      if (!again.ok() || !(*again == *level)) std::abort();
      break;
    }
    case 1:
      (void)search::ParseMenu(text, 576 * 1536);
      break;
    case 2:
      (void)search::ParseAssignment(space, text);
      break;
    case 3:
      (void)search::ParseDrops(modules, text);
      break;
    default: {
      auto table = client::ReadCostTable(
          fuzz::WriteScratch("costs.txt", text.data(), text.size()));
      if (!table.ok()) break;
      search::SearchSpace copy = space;
      (void)client::AddCostKind(*table, copy);
    }
  }
  return 0;
}
