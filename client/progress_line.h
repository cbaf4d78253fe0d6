// Progress on stderr: one line that rewrites itself on a terminal, plain
// lines now and then elsewhere.
#ifndef EVOPRESS_CLIENT_PROGRESS_LINE_H_
#define EVOPRESS_CLIENT_PROGRESS_LINE_H_

#include <string>

#include "absl/time/time.h"

namespace evopress::client {

// Thread-compatible.
class ProgressLine {
 public:
  // Asks the terminal whether stderr is one.
  ProgressLine();
  // Ends a line that is still open.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Shows `text`; cut to the width of the terminal. Off a terminal it is
  // printed when `phase` has changed or 10 s have passed since the last line.
  void Show(const std::string& phase, const std::string& text);

  // Prints `text` on a line of its own that stays.
  void Note(const std::string& text);

  // Clears the live line.
  void Clear();

 private:
  bool terminal_;
  bool open_ = false;
  std::string phase_;
  absl::Time last_ = absl::InfinitePast();
};

// Time left when `done` (0…1) of the work took `elapsed`: "ETA 3m20s", or ""
// while that cannot be told.
std::string EtaText(double done, absl::Duration elapsed);

// True if standard output may carry colour: a terminal, and NO_COLOR unset.
bool UseColor();

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_PROGRESS_LINE_H_
