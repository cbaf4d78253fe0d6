// Which experts a token goes to (arXiv 1701.06538; Mixtral, arXiv 2401.04088).
#ifndef EVOPRESS_WORKER_OPS_ROUTING_H_
#define EVOPRESS_WORKER_OPS_ROUTING_H_

#include <cstdint>

namespace evopress::worker {

// For each of `rows` rows of `experts` logits: the `chosen` most probable
// experts, the most probable first (the lower index where equal), and their
// probabilities under the softmax over all experts, scaled to sum to 1 if
// `normalize`. `expert` and `share` are rows x chosen.
// REQUIRES: 1 <= chosen <= experts.
void ChooseExperts(const float* logits, int64_t rows, int experts, int chosen,
                   bool normalize, int32_t* expert, float* share);

}  // namespace evopress::worker

#endif  // EVOPRESS_WORKER_OPS_ROUTING_H_
