// What this machine calls itself.
#ifndef EVOPRESS_PROTO_HOST_NAME_H_
#define EVOPRESS_PROTO_HOST_NAME_H_

#include <unistd.h>

#include <climits>
#include <string>

namespace evopress::proto {

// "localhost" if it has no name.
inline std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "localhost";
}

}  // namespace evopress::proto

#endif  // EVOPRESS_PROTO_HOST_NAME_H_
