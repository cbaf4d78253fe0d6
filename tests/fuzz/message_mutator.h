// Changes messages by their descriptors, so that mutations reach past the
// parser: byte mutations of a serialized message rarely do.
#ifndef EVOPRESS_TESTS_FUZZ_MESSAGE_MUTATOR_H_
#define EVOPRESS_TESTS_FUZZ_MESSAGE_MUTATOR_H_

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>

namespace evopress::fuzz {

// One to four changes of fields anywhere in `message`, drawn by `seed`.
void Mutate(google::protobuf::Message& message, unsigned int seed);

// The body of LLVMFuzzerCustomMutator for inputs that are a serialized
// `message` (of any content). Returns the new size.
size_t MutateSerialized(google::protobuf::Message& message, uint8_t* data,
                        size_t size, size_t max_size, unsigned int seed);

}  // namespace evopress::fuzz

#endif  // EVOPRESS_TESTS_FUZZ_MESSAGE_MUTATOR_H_
