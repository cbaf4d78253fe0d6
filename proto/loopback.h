// Which addresses never leave this machine.
#ifndef EVOPRESS_PROTO_LOOPBACK_H_
#define EVOPRESS_PROTO_LOOPBACK_H_

#include <string>

namespace evopress::proto {

// The host of "host:port" or "[address]:port", without brackets.
std::string HostOf(const std::string& address);

// Whether `address` ("host:port" or "unix:PATH") is a socket file, "localhost"
// or a literal address of the loopback interface. Names are not resolved.
bool IsLoopback(const std::string& address);

}  // namespace evopress::proto

#endif  // EVOPRESS_PROTO_LOOPBACK_H_
