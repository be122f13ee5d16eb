#include "data_loader/lake/lake_uri.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(LakeUri, TakesUrisApart) {
  const LakeUri uri = ParseLakeUri("s3://key:se/cret@bucket/a b/dt=2026%2D11/*.csv//?region=eu&scheme=http");
  EXPECT_EQ(uri.Shown(), "s3://key:se/cret@bucket/a b/dt=2026%2D11/*.csv") << "a slash ends the authority";
  const LakeUri plain = ParseLakeUri("s3://key:secret@bucket/a b/dt=2026%2D11/*.csv//?region=eu&scheme=http");
  EXPECT_EQ(plain.scheme, "s3");
  EXPECT_EQ(plain.user, "key:secret");
  EXPECT_EQ(plain.authority, "bucket");
  EXPECT_EQ(plain.path, "/a b/dt=2026%2D11/*.csv");
  EXPECT_EQ(plain.Shown(), "s3://bucket/a b/dt=2026%2D11/*.csv");
  EXPECT_EQ(QueryItem(plain.query, "region"), "eu");
  EXPECT_EQ(QueryItem(plain.query, "scheme"), "http");
  EXPECT_EQ(QueryItem(plain.query, "reg"), "");
  EXPECT_EQ(QueryItem("", "region"), "");
}

TEST(LakeUri, LocalPathsAreAllPath) {
  for (const std::string path : {"logs/a?b=c.csv", "/logs/x://y", "dt=1/*", ""}) {
    EXPECT_EQ(ParseLakeUri(path).scheme, "") << path;
    EXPECT_EQ(ParseLakeUri(path).Shown(), path);
    EXPECT_EQ(ParseLakeUri("file://" + path).Shown(), path);
  }
}

TEST(LakeUri, KeepsWhatWebServersTellApart) {
  const LakeUri uri = ParseLakeUri("http://[::1]:8080/a/?x=1?2");
  EXPECT_EQ(uri.authority, "[::1]:8080");
  EXPECT_EQ(uri.path, "/a/");
  EXPECT_EQ(uri.query, "x=1?2");
  EXPECT_EQ(ParseLakeUri("s3://bucket").path, "");
  EXPECT_EQ(ParseLakeUri("s3://bucket/").Shown(), "s3://bucket");
}

}  // namespace
}  // namespace weir
