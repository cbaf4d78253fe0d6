#include "search/digest.h"

#include <gtest/gtest.h>

#include <limits>

#include "search/history.h"

namespace evopress::search {
namespace {

// FIPS 180-4 examples.
TEST(Sha256Hex, GivesThePublishedDigests) {
  EXPECT_EQ(Sha256Hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(CanonicalWriter, TellsApartWhereTextsEnd) {
  CanonicalWriter a("k"), b("k");
  a.Text("ab");
  a.Text("c");
  b.Text("a");
  b.Text("bc");
  EXPECT_NE(a.Sha256(), b.Sha256());
}

TEST(CanonicalWriter, KeepsEveryBitOfADouble) {
  CanonicalWriter a("k"), b("k");
  a.Double(0.0);
  b.Double(-0.0);
  EXPECT_NE(a.Sha256(), b.Sha256());
  EXPECT_EQ(FromBits(Bits(0.1)), 0.1);
}

TEST(History, CoversRoundsAndResultBits) {
  Round round;
  round.evaluations = {{Assignment{{1, 2}}, {0, 3}}};
  const RoundResults results = {{{1.0, 0, 0, 5}, {2.0, 0, 0, 5}}};
  const auto head = [](const Round& r, const RoundResults& s,
                       const std::string& origin = "job") {
    History history(origin);
    history.Add(r, s);
    return history.head();
  };
  const std::string base = head(round, results);
  EXPECT_EQ(base, head(round, results));
  EXPECT_NE(base, head(round, results, "other"));
  Round other = round;
  other.evaluations[0].samples = {0, 4};
  EXPECT_NE(base, head(other, results));
  other = round;
  other.evaluations[0].assignment.levels[1] = 3;
  EXPECT_NE(base, head(other, results));
  other = round;
  other.index = 1;
  EXPECT_NE(base, head(other, results));
  RoundResults close = results;
  close[0][1].kl = 2.0 + std::numeric_limits<double>::epsilon() * 2;
  EXPECT_NE(base, head(round, close));
  close = results;
  close[0][0].positions = 6;
  EXPECT_NE(base, head(round, close));
}

TEST(History, GoesOnFromAStoredHead) {
  const Round round;
  History whole("job"), first("job");
  whole.Add(round, {});
  first.Add(round, {});
  History resumed(first.head(), first.rounds());
  whole.Add(round, {});
  resumed.Add(round, {});
  EXPECT_EQ(whole.head(), resumed.head());
  EXPECT_EQ(resumed.rounds(), 2);
}

}  // namespace
}  // namespace evopress::search
