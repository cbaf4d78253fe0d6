#include "search/budget.h"

#include <gtest/gtest.h>

#include <limits>

namespace evopress::search {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ParseBitsPerWeight, IsExactAndRoundsDown) {
  EXPECT_EQ(*ParseBitsPerWeight("3", 106168320), 318504960);
  EXPECT_EQ(*ParseBitsPerWeight("2.25", 1000), 2250);
  EXPECT_EQ(*ParseBitsPerWeight("2.3", 10), 23);
  EXPECT_EQ(*ParseBitsPerWeight("2.3", 11), 25);
  EXPECT_EQ(*ParseBitsPerWeight("0.000000001", 1000000000), 1);
  EXPECT_EQ(*ParseBitsPerWeight("0.000000001", 999999999), 0);
  EXPECT_EQ(*ParseBitsPerWeight("3", 0), 0);
  EXPECT_EQ(*ParseBitsPerWeight("64", 1), 64);
}

// As doubles, 2.3 * 10^16 is off by one and 4.35 * 100 is below 435.
TEST(ParseBitsPerWeight, DoesWhatDoublesCannot) {
  EXPECT_EQ(*ParseBitsPerWeight("4.35", 100), 435);
  EXPECT_EQ(*ParseBitsPerWeight("2.3", 100000000000000001), 230000000000000002);
}

TEST(ParseBitsPerWeight, Refuses) {
  for (const char* text :
       {"", "0", "0.0", "-3", "+3", " 3", "3 ", "3b", "3.", ".5", "3,5", "1e3",
        "nan", "inf", "65", "64.1", "1.0000000001", "99999999999999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseBitsPerWeight(text, 10).status()))
        << text;
  }
  EXPECT_FALSE(ParseBitsPerWeight("2", kMax).ok());
  EXPECT_FALSE(ParseBitsPerWeight("2", -1).ok());
}

TEST(ParseKept, IsExactAndNeverLeavesTooMuch) {
  EXPECT_EQ(*ParseKept("0.5", 1000), 500);
  EXPECT_EQ(*ParseKept("0.5", 1001), 500);
  EXPECT_EQ(*ParseKept("0.7", 10), 3);
  EXPECT_EQ(*ParseKept("0", 7), 7);
  EXPECT_EQ(*ParseKept("1", 7), 0);
  EXPECT_EQ(*ParseKept("1.0", kMax), 0);
  EXPECT_EQ(*ParseKept("0.000000001", kMax), kMax - 9223372037);
  for (const char* text :
       {"", "1.1", "50", "50%", "-0.5", ".5", "0.", "0.5x", "nan"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseKept(text, 10).status())) << text;
  }
}

TEST(ParseSize, TellsPowersOf1000From1024) {
  EXPECT_EQ(*ParseSize("90MB"), 90000000);
  EXPECT_EQ(*ParseSize("90MiB"), 94371840);
  EXPECT_EQ(*ParseSize("90 mib"), 94371840);
  EXPECT_EQ(*ParseSize("1.5GB"), 1500000000);
  EXPECT_EQ(*ParseSize("1.5GiB"), 1610612736);
  EXPECT_EQ(*ParseSize("2kB"), 2000);
  EXPECT_EQ(*ParseSize("2KiB"), 2048);
  EXPECT_EQ(*ParseSize("3TB"), 3000000000000);
  EXPECT_EQ(*ParseSize("3TiB"), 3298534883328);
  EXPECT_EQ(*ParseSize("123456"), 123456);
  EXPECT_EQ(*ParseSize("123456B"), 123456);
  EXPECT_EQ(*ParseSize("0.0001kB"), 0);
}

TEST(ParseSize, RefusesWhatIsAmbiguousOrTooLarge) {
  EXPECT_EQ(ParseSize("90M").status().message(),
            "\"90M\": say MB (powers of 1000) or MiB (powers of 1024)");
  for (const char* text : {"", "MB", "-1MB", "9XB", "9MBs", "9ib", "1e6",
                           "99999999999999TB", "1.MB", "9M B"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSize(text).status())) << text;
  }
}

TEST(Format, IsForPeople) {
  EXPECT_EQ(FormatBitsPerWeight(2255, 1000), "2.255");
  EXPECT_EQ(FormatBitsPerWeight(3, 1), "3.000");
  EXPECT_EQ(FormatBitsPerWeight(2, 3), "0.667");
  EXPECT_EQ(FormatBitsPerWeight(kMax, 3), "3074457345618258602.333");
  EXPECT_EQ(FormatBitsPerWeight(5, 0), "0");
  EXPECT_EQ(FormatSize(512), "512 B");
  EXPECT_EQ(FormatSize(90000000), "90.0 MB (85.8 MiB)");
  EXPECT_EQ(FormatSize(1500), "1.5 kB (1.5 KiB)");
  EXPECT_EQ(FormatSize(kMax), "9223372.0 TB (8388608.0 TiB)");
}

}  // namespace
}  // namespace evopress::search
