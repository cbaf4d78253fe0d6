#include "client/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace evopress::client {
namespace {

constexpr absl::Duration kPlainInterval = absl::Seconds(10);
constexpr absl::Duration kLiveInterval = absl::Milliseconds(100);

size_t TerminalWidth() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) {
    return 80;
  }
  return size.ws_col;
}

}  // namespace

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Show(const std::string& phase, const std::string& text) {
  const absl::Time now = absl::Now();
  const bool new_phase = phase != phase_;
  const absl::Duration interval = terminal_ ? kLiveInterval : kPlainInterval;
  if (!new_phase && now - last_ < interval) return;
  last_ = now;
  phase_ = phase;
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const std::string shown = text.substr(0, TerminalWidth() - 1);
  std::fprintf(stderr, "\r\033[K%s", shown.c_str());
  std::fflush(stderr);
  open_ = true;
}

void ProgressLine::Note(const std::string& text) {
  Clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void ProgressLine::Clear() {
  if (!open_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  open_ = false;
}

std::string EtaText(double done, absl::Duration elapsed) {
  if (!(done > 0.005) || done > 1 || elapsed < absl::Seconds(1)) return "";
  const double left = absl::ToDoubleSeconds(elapsed) * (1 - done) / done;
  if (!std::isfinite(left) || left > 1e8) return "";
  return absl::StrCat("ETA ",
                      absl::FormatDuration(absl::Seconds(std::llround(left))));
}

bool UseColor() {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && no_color[0] != '\0') return false;
  return isatty(STDOUT_FILENO) == 1;
}

}  // namespace evopress::client
