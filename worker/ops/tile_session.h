// worker/ops/tile_session.h
// The processor's matrix tiles (AMX) for as long as it lives, on its thread.
// For files compiled with AMX only; see wide_math.h.
#ifndef EVOPRESS_WORKER_OPS_TILE_SESSION_H_
#define EVOPRESS_WORKER_OPS_TILE_SESSION_H_

#include <immintrin.h>

#include <cstdint>

namespace evopress::worker {
namespace {

// Eight tiles of 16 rows of 64 bytes.
class TileSession {
 public:
  explicit TileSession(bool on) : on_(on) {
    if (!on_) return;
    struct alignas(64) {
      uint8_t palette = 1;
      uint8_t start_row = 0;
      uint8_t reserved[14] = {};
      uint16_t row_bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int t = 0; t < 8; ++t) {
      config.row_bytes[t] = 64;
      config.rows[t] = 16;
    }
    _tile_loadconfig(&config);
  }
  ~TileSession() {
    if (on_) _tile_release();
  }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;

 private:
  const bool on_;
};

}  // namespace
}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_TILE_SESSION_H_
