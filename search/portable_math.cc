#include "search/portable_math.h"

#include <cmath>

namespace evopress::search {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

}  // namespace

double PortableExp(double x) {
  if (std::isnan(x)) return 0;
  if (x > 700) x = 700;
  if (x < -700) x = -700;
  const double halvings = std::floor(x / kLn2 + 0.5);
  const double rest = x - halvings * kLn2;  // |rest| <= ln 2 / 2
  double sum = 1;
  for (int k = 17; k > 0; --k) sum = 1 + sum * rest / k;
  return std::ldexp(sum, static_cast<int>(halvings));
}

double PortableLog(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // 0.5…1
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2;
    --exponent;
  }
  // log m = 2 atanh((m - 1) / (m + 1)); the argument is at most 0.172.
  const double t = (mantissa - 1) / (mantissa + 1);
  double sum = 0;
  for (int k = 23; k > 0; k -= 2) sum = sum * t * t + 1.0 / k;
  return exponent * kLn2 + 2 * t * sum;
}

}  // namespace evopress::search
