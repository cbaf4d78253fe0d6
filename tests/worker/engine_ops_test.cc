// Each op against the plain formula in double.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/ops/attention.h"
#include "worker/ops/kernels.h"
#include "worker/ops/loss_head.h"
#include "worker/ops/matmul.h"
#include "worker/ops/rope.h"
#include "worker/ops/routing.h"
#include "worker/ops/vector_math.h"

namespace evopress::worker {
namespace {

std::vector<float> Random(size_t n, uint64_t seed, float scale = 1) {
  std::vector<float> x(n);
  uint64_t state = seed + 1;
  for (float& v : x) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = scale * (static_cast<float>(state >> 40) / (1 << 23) - 1);
  }
  return x;
}

std::vector<Arithmetic> Arithmetics() {
  if (DetectArithmetic() == Arithmetic::kF32) return {Arithmetic::kF32};
  return {Arithmetic::kF32, Arithmetic::kBf16};
}

double Tolerance(Arithmetic a) { return a == Arithmetic::kF32 ? 1e-5 : 2e-2; }

// As the element type, and back.
std::vector<uint8_t> Encode(Arithmetic a, const std::vector<float>& x) {
  std::vector<uint8_t> out(x.size() * ElementBytes(a));
  for (size_t i = 0; i < x.size(); ++i) {
    if (a == Arithmetic::kF32) {
      Store(x[i], reinterpret_cast<float*>(out.data()) + i);
    } else {
      Store(x[i], reinterpret_cast<Bf16*>(out.data()) + i);
    }
  }
  return out;
}
double At(Arithmetic a, const uint8_t* bytes, int64_t i) {
  return a == Arithmetic::kF32
             ? reinterpret_cast<const float*>(bytes)[i]
             : FromBf16(reinterpret_cast<const Bf16*>(bytes)[i]);
}

TEST(Exp, IsWithinTwoUlpAndZeroFarBelow) {
  for (float x = -87; x < 88; x += 0.00731f) {
    EXPECT_NEAR(Exp(x) / std::exp(static_cast<double>(x)), 1, 2.5e-7) << x;
  }
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-100.0f), 0.0f);
  EXPECT_EQ(Exp(-1e30f), 0.0f);
}

TEST(RoundToBf16, RoundsToNearestEvenAlikeInScalarsAndVectors) {
  const std::vector<float> x = Random(4096, 1, 1e3f);
  for (size_t i = 0; i < x.size(); i += 8) {
    Bf16 lanes[8];
    Store(_mm256_loadu_ps(&x[i]), lanes);
    for (int j = 0; j < 8; ++j) {
      EXPECT_EQ(lanes[j], RoundToBf16(x[i + j]));
      EXPECT_NEAR(FromBf16(lanes[j]), x[i + j], std::abs(x[i + j]) / 256);
    }
  }
}

TEST(Kernels, NormalizeByTheRootMeanSquare) {
  for (const Arithmetic a : Arithmetics()) {
    for (const int64_t n : {5, 16, 67, 576}) {
      const auto x = Random(3 * n, n);
      const auto w = Random(n, n + 1);
      std::vector<float> floats(3 * n);
      std::vector<uint8_t> operands(3 * n * ElementBytes(a));
      const Kernels& kernels = KernelsFor(a);
      kernels.rms_norm_floats(x.data(), w.data(), 1e-5f, 3, n, floats.data());
      kernels.rms_norm(x.data(), w.data(), 1e-5f, 3, n, operands.data());
      for (int64_t r = 0; r < 3; ++r) {
        double squares = 0;
        for (int64_t i = r * n; i < (r + 1) * n; ++i) {
          squares += double(x[i]) * x[i];
        }
        for (int64_t i = r * n; i < (r + 1) * n; ++i) {
          const double want =
              x[i] / std::sqrt(squares / n + 1e-5) * w[i - r * n];
          EXPECT_NEAR(floats[i], want, 1e-5);
          EXPECT_NEAR(At(a, operands.data(), i), want, Tolerance(a));
        }
      }
    }
  }
}

TEST(Kernels, GateByTheirFormulas) {
  constexpr int64_t kCount = 1003;
  auto gate = Random(kCount, 1, 12);
  gate[0] = -1e30f;
  gate[1] = 1e4f;
  const auto up = Random(kCount, 2);
  for (const Arithmetic a : Arithmetics()) {
    std::vector<uint8_t> silu(kCount * ElementBytes(a)), gelu(silu);
    const Kernels& kernels = KernelsFor(a);
    kernels.gate(Activation::kSilu, gate.data(), up.data(), /*rows=*/1, kCount,
                 kCount, silu.data());
    kernels.gate(Activation::kGeluTanh, gate.data(), up.data(), 1, kCount,
                 kCount, gelu.data());
    const double share = a == Arithmetic::kF32 ? 1e-5 : 4e-3;  // one rounding
    EXPECT_NEAR(At(a, silu.data(), 0), 0, 1e-5);
    for (int i = 1; i < kCount; ++i) {
      const double x = gate[i];
      const double s = x / (1 + std::exp(-x)) * up[i];
      const double z =
          std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      const double g = x / 2 * (1 + std::tanh(z)) * up[i];
      EXPECT_NEAR(At(a, silu.data(), i), s, 1e-5 + share * std::abs(s));
      EXPECT_NEAR(At(a, gelu.data(), i), g, 1e-5 + share * std::abs(g));
    }
  }
}

TEST(Kernels, SumExponentialsAndDifferences) {
  for (const Arithmetic a : Arithmetics()) {
    const Kernels& kernels = KernelsFor(a);
    for (const int64_t n : {3, 16, 1000}) {
      const auto x = Random(n, n, 20);
      const auto y = Random(n, n + 1, 20);
      double sum = 0, mean = 0;
      for (int64_t i = 0; i < n; ++i) {
        sum += std::exp(double(x[i]) - 15);
        mean += std::exp(double(x[i]) - 15) * (double(x[i]) - y[i]);
      }
      std::vector<uint8_t> operands(n * ElementBytes(a));
      EXPECT_EQ(kernels.max(x.data(), n),
                *std::max_element(x.begin(), x.end()));
      EXPECT_NEAR(kernels.sum_exp(x.data(), n, 15) / sum, 1, 1e-5);
      EXPECT_EQ(kernels.exp_operands(x.data(), n, 15, operands.data()),
                kernels.sum_exp(x.data(), n, 15));
      EXPECT_NEAR(kernels.mean_difference(x.data(), y.data(), n, 15), mean,
                  1e-4 * sum * 40);
      for (int64_t i = 0; i < n; ++i) {
        const double e = std::exp(double(x[i]) - 15);
        EXPECT_NEAR(At(a, operands.data(), i), e, Tolerance(a) * e + 1e-30);
      }
      auto total = x;
      kernels.add(y.data(), n, total.data());
      for (int64_t i = 0; i < n; ++i) EXPECT_EQ(total[i], x[i] + y[i]);
    }
  }
}

TEST(Rope, RotatesPairsByPositionTimesFrequency) {
  RopeSpec spec;
  spec.dims = 16;
  const RopeTable table(spec, 300);
  const auto x = Random(2 * 2 * 16, 3);
  auto y = x;
  table.Apply(200, 2, 2, 16, y.data());
  for (int r = 0; r < 2; ++r) {
    for (int h = 0; h < 2; ++h) {
      for (int i = 0; i < 8; ++i) {
        const int at = (r * 2 + h) * 16 + i;
        const double angle = (200 + r) * std::pow(10000.0, -i / 8.0);
        EXPECT_NEAR(
            y[at], x[at] * std::cos(angle) - x[at + 8] * std::sin(angle), 1e-5);
        EXPECT_NEAR(y[at + 8],
                    x[at + 8] * std::cos(angle) + x[at] * std::sin(angle),
                    1e-5);
      }
    }
  }
}

TEST(PackedMatrix, MultipliesAndDoesNotLetRowsTouchEachOther) {
  // Inputs in 32s go to matrix tiles where there are any; 1,536 of them are
  // more than one block there.
  for (const auto& [kRows, kCols] :
       {std::pair<int64_t, int64_t>{50, 72}, {50, 96}, {64, 1536}, {17, 32}})
    for (const Arithmetic a : Arithmetics()) {
      SCOPED_TRACE(kCols);
      const auto w = Random(kRows * kCols, 1);
      const auto x = Random(kPanelRows * kCols, 2);
      const auto matrix = PackedMatrix::Create(a, w, kRows, kCols);
      ASSERT_TRUE(matrix.ok()) << matrix.status();
      auto input = Encode(a, x);
      std::vector<float> got(kPanelRows * kRows), again(kPanelRows * kRows);
      ASSERT_TRUE((*matrix)->Multiply(input.data(), got.data()).ok());
      for (int64_t r = 0; r < kPanelRows; ++r) {
        for (int64_t o = 0; o < kRows; ++o) {
          double want = 0;
          for (int64_t i = 0; i < kCols; ++i) {
            want += double(x[r * kCols + i]) * w[o * kCols + i];
          }
          EXPECT_NEAR(got[r * kRows + o], want,
                      Tolerance(a) * std::sqrt(double(kCols)));
        }
      }
      std::fill(input.begin() + 7 * kCols * ElementBytes(a), input.end(), 0);
      ASSERT_TRUE((*matrix)->Multiply(input.data(), again.data()).ok());
      for (int64_t i = 0; i < 7 * kRows; ++i) EXPECT_EQ(got[i], again[i]);
    }
}

TEST(ChooseExperts, TakesTheMostProbableInOrder) {
  const float logits[] = {0, 2, 1, 2, -5, 0, 0, 0};
  int32_t expert[4];
  float share[4];
  ChooseExperts(logits, /*rows=*/2, /*experts=*/4, /*chosen=*/2,
                /*normalize=*/false, expert, share);
  // Ties go to the lower index.
  EXPECT_THAT(expert, testing::ElementsAre(1, 3, 1, 2));
  const double total = 1 + 2 * std::exp(2.0) + std::exp(1.0);
  EXPECT_NEAR(share[0], std::exp(2.0) / total, 1e-6);
  EXPECT_NEAR(share[1], std::exp(2.0) / total, 1e-6);
  EXPECT_NEAR(share[2], 1 / (3 + std::exp(-5.0)), 1e-6);
  ChooseExperts(logits, 2, 4, 2, /*normalize=*/true, expert, share);
  EXPECT_NEAR(share[0], 0.5, 1e-6);
  EXPECT_NEAR(share[2] + share[3], 1, 1e-6);
}

TEST(ChooseExperts, CopesWithWhatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float logits[] = {nan, nan, 1, nan};
  int32_t expert[3];
  float share[3];
  ChooseExperts(logits, 1, 4, 3, true, expert, share);
  EXPECT_THAT(expert, testing::ElementsAre(2, 0, 1));
  EXPECT_TRUE(std::isnan(share[0]));  // and so will be the loss
}

TEST(Attention, MatchesSoftmaxOverTheVisibleKeys) {
  // Heads of 64 are computed on matrix tiles where there are any.
  for (const int64_t kDim : {48, 64}) {
    constexpr int64_t kTokens = 384, kHeads = 4, kKvHeads = 2;
    const auto q = Random(kTokens * kHeads * kDim, 1, 2);
    const auto k = Random(kTokens * kKvHeads * kDim, 2, 2);
    const auto v = Random(kTokens * kKvHeads * kDim, 3);
    for (const Arithmetic a : Arithmetics()) {
      for (const int64_t window : {0, 1, 40, 150}) {
        const AttentionShape shape{kHeads, kKvHeads, kDim, 0.2f, window};
        AttentionBuffers buffers(a, shape, kTokens + kPanelRows);
        buffers.Reset(kTokens);
        for (int64_t row = 0; row < kTokens; row += kPanelRows) {
          buffers.StoreQueries(row, &q[row * kHeads * kDim]);
          buffers.StoreKeys(row, &k[row * kKvHeads * kDim]);
          buffers.StoreValues(row, &v[row * kKvHeads * kDim]);
        }
        for (int64_t h = 0; h < kHeads; ++h) {
          for (int64_t row = 0; row < kTokens; row += kPanelRows) {
            buffers.Attend(shape, h, row);
          }
          for (int64_t t = 0; t < kTokens; t += 13) {
            double sum = 0;
            std::vector<double> want(kDim, 0.0);
            const int64_t first =
                window > 0 ? std::max<int64_t>(0, t - window + 1) : 0;
            for (int64_t s = first; s <= t; ++s) {
              double dot = 0;
              for (int64_t d = 0; d < kDim; ++d) {
                dot += double(q[(t * kHeads + h) * kDim + d]) *
                       k[(s * kKvHeads + h / 2) * kDim + d];
              }
              const double e = std::exp(dot * 0.2);
              sum += e;
              for (int64_t d = 0; d < kDim; ++d) {
                want[d] += e * v[(s * kKvHeads + h / 2) * kDim + d];
              }
            }
            for (int64_t d = 0; d < kDim; ++d) {
              EXPECT_NEAR(At(a, buffers.output(), (t * kHeads + h) * kDim + d),
                          want[d] / sum, Tolerance(a))
                  << window << " " << t;
            }
          }
        }
      }
    }
  }
}

// A head with its teacher and students, and what they should come to in
// float64 with the factors as the products read them.
class LossHeadTest : public testing::TestWithParam<Arithmetic> {
 protected:
  static constexpr int64_t kVocab = 2500, kDims = 32, kPositions = 9;
  static constexpr int kTop = 20;

  void SetUp() override {
    if (GetParam() == Arithmetic::kBf16 &&
        DetectArithmetic() != Arithmetic::kBf16) {
      GTEST_SKIP() << "this processor has no bf16";
    }
  }

  // The same bits in the element type of the products.
  std::vector<uint8_t> Elements(const std::vector<float>& x) const {
    std::vector<uint8_t> out(x.size() * ElementBytes(GetParam()));
    for (size_t i = 0; i < x.size(); ++i) {
      if (GetParam() == Arithmetic::kBf16) {
        reinterpret_cast<Bf16*>(out.data())[i] = RoundToBf16(x[i]);
      } else {
        reinterpret_cast<float*>(out.data())[i] = x[i];
      }
    }
    return out;
  }
  double AsRead(float x) const {
    return GetParam() == Arithmetic::kBf16 ? FromBf16(RoundToBf16(x)) : x;
  }

  std::vector<double> LogProbs(const std::vector<float>& w,
                               const std::vector<float>& x, int64_t r,
                               float softcap) const {
    std::vector<double> logits(kVocab);
    double max = -1e300, sum = 0;
    for (int64_t o = 0; o < kVocab; ++o) {
      for (int64_t i = 0; i < kDims; ++i) {
        logits[o] += AsRead(x[r * kDims + i]) * AsRead(w[o * kDims + i]);
      }
      if (softcap != 0) logits[o] = softcap * std::tanh(logits[o] / softcap);
      max = std::max(max, logits[o]);
    }
    for (const double l : logits) sum += std::exp(l - max);
    for (double& l : logits) l -= max + std::log(sum);
    return logits;
  }

  // Students have the head `own`, unless it is empty.
  void CheckAgainstDefinitions(const std::vector<float>& w, float softcap = 0,
                               const std::vector<float>& own = {}) const {
    const auto head = LossHead::Create(GetParam(), w, kVocab, kDims, softcap);
    ASSERT_TRUE(head.ok()) << head.status();
    const auto teacher = Random(kPanelRows * kDims, 2);
    auto student = teacher;
    const auto noise = Random(kPanelRows * kDims, 3, 0.2f);
    for (size_t i = 0; i < student.size(); ++i) student[i] += noise[i];
    const auto teacher_in = Elements(teacher), student_in = Elements(student);
    std::vector<TeacherPosition> known(kPositions);
    std::vector<float> means(kPositions * kDims);
    ASSERT_TRUE(head->Teach(teacher_in.data(), kTop, absl::MakeSpan(known),
                            means.data())
                    .ok());
    const std::vector<int32_t> next = {0, 2499, 1023, 1024, 5,
                                       6, 7,    2048, 2047};
    const void* const students[] = {student_in.data(), teacher_in.data()};
    std::vector<std::vector<PositionLosses>> losses(2);
    LossHead students_head = *head;
    if (!own.empty()) {
      std::vector<std::shared_ptr<const PackedMatrix>> parts;
      for (int64_t first = 0; first < kVocab; first += LossHead::kPartRows) {
        const int64_t rows = std::min(LossHead::kPartRows, kVocab - first);
        auto part = PackedMatrix::Create(
            GetParam(),
            absl::MakeConstSpan(own).subspan(first * kDims, rows * kDims), rows,
            kDims);
        ASSERT_TRUE(part.ok()) << part.status();
        parts.push_back(*std::move(part));
      }
      students_head = LossHead::OfParts(GetParam(), std::move(parts), softcap);
    }
    const TeacherPanel panel = {.final = teacher_in.data(),
                                .mean_rows = means.data(),
                                .positions = known};
    ASSERT_TRUE(
        (own.empty() ? *head : students_head)
            .Compare(*head, panel, students, next, absl::MakeSpan(losses))
            .ok());
    for (int64_t r = 0; r < kPositions; ++r) {
      const auto p = LogProbs(w, teacher, r, softcap);
      const auto q = LogProbs(own.empty() ? w : own, student, r, softcap);
      double kl = 0;
      for (int64_t o = 0; o < kVocab; ++o) {
        kl += std::exp(p[o]) * (p[o] - q[o]);
      }
      auto sorted = p;
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      double topk = 0, p_rest = 1, q_rest = 1;
      for (int64_t o = 0; o < kVocab; ++o) {
        if (p[o] < sorted[kTop - 1]) continue;
        topk += std::exp(p[o]) * (p[o] - q[o]);
        p_rest -= std::exp(p[o]);
        q_rest -= std::exp(q[o]);
      }
      if (p_rest > 1e-9) topk += p_rest * std::log(p_rest / q_rest);
      const double tolerance = 2e-5 * std::max(1.0, std::abs(q[next[r]]));
      EXPECT_NEAR(losses[0][r].kl, kl, tolerance);
      EXPECT_NEAR(losses[0][r].topk_kl, topk, tolerance);
      EXPECT_NEAR(losses[0][r].nll, -q[next[r]], tolerance);
      if (own.empty()) {
        EXPECT_EQ(losses[1][r].kl, 0);
      }
      EXPECT_EQ(known[r].top.size(), size_t{kTop});
    }
  }
};

TEST_P(LossHeadTest, MatchesTheDefinitionsOverTheWholeVocabulary) {
  CheckAgainstDefinitions(Random(kVocab * kDims, 1, 1.5f));
}

// Distributions of one or few tokens, where rounding p would show most.
TEST_P(LossHeadTest, MatchesTheDefinitionsWhereOneTokenIsNearlySure) {
  CheckAgainstDefinitions(Random(kVocab * kDims, 1, 5.0f));
}

TEST_P(LossHeadTest, MatchesTheDefinitionsWithCappedLogits) {
  CheckAgainstDefinitions(Random(kVocab * kDims, 1, 1.5f), 5.0f);
}

TEST_P(LossHeadTest, MatchesTheDefinitionsWhereStudentsHaveAHeadOfTheirOwn) {
  const auto w = Random(kVocab * kDims, 1, 1.5f);
  auto own = w;
  const auto noise = Random(kVocab * kDims, 4, 0.2f);
  for (size_t i = 0; i < own.size(); ++i) own[i] += noise[i];
  CheckAgainstDefinitions(w, 0, own);
  CheckAgainstDefinitions(w, 5.0f, own);
}

// The maximum of the first chunk is subtracted from all logits; here later
// ones are so much larger that their exponentials would overflow.
TEST_P(LossHeadTest, SurvivesALateMaximumThatWouldOverflow) {
  auto w = Random(kVocab * kDims, 1, 0.5f);
  for (int64_t i = 2400 * kDims; i < kVocab * kDims; ++i) w[i] *= 200;
  CheckAgainstDefinitions(w);
}

INSTANTIATE_TEST_SUITE_P(Arithmetics, LossHeadTest,
                         testing::Values(Arithmetic::kF32, Arithmetic::kBf16));

}  // namespace
}  // namespace evopress::worker
