// Exponential and logarithm whose bits do not depend on the C library or the
// processor: what a search proposes must be the same on every coordinator.
#ifndef EVOPRESS_SEARCH_PORTABLE_MATH_H_
#define EVOPRESS_SEARCH_PORTABLE_MATH_H_

namespace evopress::search {

// e^x to a few units in the last place; x is clamped to -700…700. NaN gives 0.
double PortableExp(double x);

// The natural logarithm to a few units in the last place. REQUIRES: x positive
// and finite.
double PortableLog(double x);

}  // namespace evopress::search

#endif  // EVOPRESS_SEARCH_PORTABLE_MATH_H_
