#include "base/status.h"

#include <cerrno>
#include <memory>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(StatusTest, OkByDefault) {
  Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.ToString(), "OK");
  EXPECT_TRUE(status.Wrap("reading").ok()) << "context does not make an error";
}

TEST(StatusTest, WrapPutsContextInFront) {
  const Status status = DataLoss("expected 8 bytes, found 4").Wrap("rows.arrow").Wrap("loading step-200");
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "loading step-200: rows.arrow: expected 8 bytes, found 4");
  EXPECT_EQ(status.ToString(), "DataLoss: loading step-200: rows.arrow: expected 8 bytes, found 4");
}

TEST(StatusTest, FactoriesCarryTheirCodes) {
  EXPECT_EQ(InvalidArgument("x").ToString(), "InvalidArgument: x");
  EXPECT_EQ(DeadlineExceeded("x").ToString(), "DeadlineExceeded: x");
  EXPECT_EQ(NotFound("x").ToString(), "NotFound: x");
  EXPECT_EQ(AlreadyExists("x").ToString(), "AlreadyExists: x");
  EXPECT_EQ(PermissionDenied("x").ToString(), "PermissionDenied: x");
  EXPECT_EQ(ResourceExhausted("x").ToString(), "ResourceExhausted: x");
  EXPECT_EQ(FailedPrecondition("x").ToString(), "FailedPrecondition: x");
  EXPECT_EQ(Aborted("x").ToString(), "Aborted: x");
  EXPECT_EQ(OutOfRange("x").ToString(), "OutOfRange: x");
  EXPECT_EQ(Unimplemented("x").ToString(), "Unimplemented: x");
  EXPECT_EQ(Internal("x").ToString(), "Internal: x");
  EXPECT_EQ(Unavailable("x").ToString(), "Unavailable: x");
  EXPECT_EQ(DataLoss("x").ToString(), "DataLoss: x");
  EXPECT_EQ(Unauthenticated("x").ToString(), "Unauthenticated: x");
}

// Codes are on the wire.
TEST(StatusTest, CodesKeepTheirNumbers) {
  EXPECT_EQ(static_cast<int>(StatusCode::kOk), 0);
  EXPECT_EQ(static_cast<int>(StatusCode::kInvalidArgument), 3);
  EXPECT_EQ(static_cast<int>(StatusCode::kFailedPrecondition), 9);
  EXPECT_EQ(static_cast<int>(StatusCode::kUnauthenticated), 16);
}

TEST(StatusTest, ErrnoHasItsCode) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "writing a").ToString(), "ResourceExhausted: writing a: No space left on device");
  EXPECT_EQ(ErrnoStatus(EDQUOT, "a").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ENOENT, "a").code(), StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EACCES, "a").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(ErrnoStatus(EEXIST, "a").code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrnoStatus(ECONNREFUSED, "a").code(), StatusCode::kUnavailable);
  EXPECT_EQ(ErrnoStatus(ETIMEDOUT, "a").code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ErrnoStatus(EIO, "a").code(), StatusCode::kInternal);
}

Result<int> Half(int x) {
  if (x % 2 != 0) return InvalidArgument("odd");
  return x / 2;
}

Result<int> Quarter(int x) {
  WEIR_ASSIGN_OR_RETURN(const int half, Half(x));
  WEIR_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckEven(int x) {
  WEIR_RETURN_IF_ERROR(Half(x).status());
  return Status();
}

TEST(ResultTest, IsAValueOrAnError) {
  EXPECT_EQ(*Half(4), 2);
  EXPECT_FALSE(Half(3).ok());
  EXPECT_EQ(Half(3).status().message(), "odd");
}

TEST(ResultTest, MacrosReturnTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_TRUE(CheckEven(2).ok());
  EXPECT_EQ(CheckEven(1).code(), StatusCode::kInvalidArgument);
}

TEST(ResultTest, HoldsWhatOnlyMoves) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  std::unique_ptr<int> moved = std::move(result).value();
  EXPECT_EQ(*moved, 7);
}

TEST(ResultDeathTest, ValueOfAnErrorIsABug) {
  EXPECT_DEATH((void)Half(1).value(), "InvalidArgument: odd");
  EXPECT_DEATH(Result<int>{Status()}, "no value");
}

}  // namespace
}  // namespace weir
