// A job of one worker and one server that trains while a test does its worst, and must end well.
#pragma once

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/param_server/cluster.h"

namespace weir::testing {

// The test holds the cluster, begins the job in its constructor and ends it in its destructor.
class OneWorkerJobTest : public ::testing::Test {
 protected:
  void Begin(const Cluster& cluster) {
    store_ = cluster.Connect(0);
    RunSteps(3);
  }
  void End(Cluster* cluster) {
    if (!store_) return;
    RunSteps(3);
    EXPECT_TRUE(store_->Drain(step_).ok());
    EXPECT_TRUE(store_->Shutdown().ok());
    store_.reset();
    const Status status = cluster->server(0).Wait();
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  // More connections without a handshake than a server holds; the job goes on among them.
  std::vector<std::unique_ptr<RawSocket>> Crowd(int port) {
    std::vector<std::unique_ptr<RawSocket>> idle;
    for (int i = 0; i < 100; ++i) idle.push_back(std::make_unique<RawSocket>(port));
    EXPECT_TRUE(idle[0]->ClosedWithin(2)) << "the oldest makes room";
    RunSteps(2);
    return idle;
  }
  void RunSteps(int steps) {
    for (int i = 0; i < steps; ++i) {
      const Status status = RunStep(store_.get(), 5, ++step_, 0);
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
  }

  std::unique_ptr<RemoteStore> store_;
  int64_t step_ = 0;
};

}  // namespace weir::testing
