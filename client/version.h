// The version that provenance records carry; set by CMake.
#ifndef EVOPRESS_CLIENT_VERSION_H_
#define EVOPRESS_CLIENT_VERSION_H_

namespace evopress::client {

#ifdef EVOPRESS_VERSION
inline constexpr char kVersion[] = EVOPRESS_VERSION;
#else
inline constexpr char kVersion[] = "unversioned";
#endif

}  // namespace evopress::client

#endif  // EVOPRESS_CLIENT_VERSION_H_
