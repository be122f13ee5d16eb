#include "data_loader/lake/remote_status.h"

#include <cerrno>

#include <arrow/util/io_util.h>

#include "data_loader/lake/arrow_status.h"
#include "tests/data_loader/lake_fixture.h"

namespace weir {
namespace {

StatusCode CodeOf(const std::string& message) { return FromRemote(arrow::Status::IOError(message), "s3://b/k").code(); }

TEST(RemoteStatus, SortsTheErrorsOfS3) {
  const std::string what = "When reading information for key 'k' in bucket 'b': AWS Error ";
  EXPECT_EQ(CodeOf(what + "ACCESS_DENIED during HeadObject operation: No response body."),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(what + "INVALID_ACCESS_KEY_ID during HeadObject operation"), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(what + "UNKNOWN (HTTP status 403) during HeadObject operation"), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(what + "NO_SUCH_BUCKET during ListObjectsV2 operation: none"), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(what + "UNKNOWN (HTTP status 404) during GetObject operation"), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf(what + "SLOW_DOWN during GetObject operation"), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf(what + "INTERNAL_FAILURE during GetObject operation"), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf(what + "NETWORK_CONNECTION during GetObject operation: curlCode: 56"), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf(what + "UNKNOWN (HTTP status 500) during GetObject operation"), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf(what + "UNKNOWN (HTTP status 301) during HeadObject operation"), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(what + "INVALID_OBJECT_STATE during GetObject operation: archived"), StatusCode::kInvalidArgument);
}

TEST(RemoteStatus, SortsTheErrorsOfGoogleCloudStorage) {
  EXPECT_EQ(CodeOf("google::cloud::Status(PERMISSION_DENIED: ...)"), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf("google::cloud::Status(UNAUTHENTICATED: ...)"), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf("google::cloud::Status(NOT_FOUND: ...)"), StatusCode::kNotFound);
  EXPECT_EQ(FromRemote(arrow::Status::Invalid("Cannot read from closed file"), "gs://b/k").code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf("No such file or directory 'bucket/none'"), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOf("google::cloud::Status(RESOURCE_EXHAUSTED: quota)"), StatusCode::kUnavailable);
}

TEST(RemoteStatus, WhatHasNoNameMayPass) {
  EXPECT_EQ(CodeOf("the connection broke"), StatusCode::kUnavailable);
  auto errno_of = [](int number) {
    return FromRemote(arrow::internal::IOErrorFromErrno(number, "HDFS"), "hdfs://h/k").code();
  };
  EXPECT_EQ(errno_of(ENOENT), StatusCode::kNotFound);
  EXPECT_EQ(errno_of(EACCES), StatusCode::kPermissionDenied);
  EXPECT_EQ(errno_of(ETIMEDOUT), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(errno_of(EIO), StatusCode::kUnavailable);
  EXPECT_EQ(FromRemote(arrow::Status::OutOfMemory("no memory"), "s3://b/k").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FromRemote(arrow::Status::NotImplemented("?"), "s3://b/k").code(), StatusCode::kUnimplemented);
}

TEST(RemoteStatus, NamesWhatWasAskedFor) {
  ExpectError(FromRemote(arrow::Status::IOError("AWS Error ACCESS_DENIED"), "s3://b/k"), StatusCode::kPermissionDenied,
              {"s3://b/k: AWS Error ACCESS_DENIED"});
  EXPECT_TRUE(FromRemote(arrow::Status::OK(), "s3://b/k").ok());
}

TEST(RemoteStatus, OurOwnErrorsPassThroughArrow) {
  const Status own = DataLoss("s3://b/k: the file was changed");
  EXPECT_EQ(FromArrow(ToArrow(own), "s3://b/k").ToString(), own.ToString());
  EXPECT_EQ(FromArrow(ToArrow(own).WithMessage("other words"), "s3://b/k").ToString(), own.ToString());
  EXPECT_EQ(FromArrow(ToArrow(own), "row group 3").ToString(), own.Wrap("row group 3").ToString());
  EXPECT_EQ(FromRemote(ToArrow(PermissionDenied("s3://b/k: no")), "s3://b/k").code(), StatusCode::kPermissionDenied);
  EXPECT_FALSE(IsOurs(arrow::Status::IOError("s3://b/k")));
}

TEST(RemoteStatus, HttpStatus) {
  EXPECT_EQ(CodeOfHttpStatus(404), StatusCode::kNotFound);
  EXPECT_EQ(CodeOfHttpStatus(401), StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOfHttpStatus(429), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOfHttpStatus(400), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOfHttpStatus(502), StatusCode::kUnavailable);
  EXPECT_EQ(CodeOfHttpStatus(501), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weir
