#include "param_server/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Remembers what is sent.
class FakeChannel : public Channel {
 public:
  explicit FakeChannel(bool may_break = true) : may_break_(may_break) {}
  void Start(OnFrame, OnClose) override {}
  void set_payload_bytes_max(int64_t) override {}
  void Send(std::shared_ptr<const Frame> frame, uint64_t acknowledged) override {
    sequences.push_back(frame->sequence);
    acknowledgements.push_back(acknowledged);
  }
  void CloseAfterWrites() override {}
  void Close(const Status&) override {}
  bool closed() const override { return false; }
  int64_t last_heard_ns() const override { return 0; }
  bool may_break() const override { return may_break_; }
  std::string peer() const override { return "fake"; }

  std::vector<uint64_t> sequences;
  std::vector<uint64_t> acknowledgements;

 private:
  const bool may_break_;
};

FrameHeader Header(uint64_t sequence, uint64_t acknowledged = 0) {
  return {.type = MessageType::kPush, .sequence = sequence, .acknowledged = acknowledged};
}

void Send(Link* link, int frames) {
  for (int i = 0; i < frames; ++i) link->Send(MessageType::kPush, 0, 0, Buffer(8));
}

TEST(LinkTest, SendsAgainWhatThePeerLacksAndNothingElse) {
  Link link;
  auto first = std::make_shared<FakeChannel>();
  ASSERT_TRUE(link.Attach(first, 0).ok());
  Send(&link, 5);
  EXPECT_THAT(first->sequences, ElementsAre(1, 2, 3, 4, 5));
  ASSERT_TRUE(link.Receive(Header(1, 2)).ok());
  EXPECT_EQ(link.frames_kept(), 3u);
  link.Detach();
  Send(&link, 1);
  link.SendOnce(MessageType::kHeartbeat, {});
  EXPECT_EQ(first->sequences.size(), 5u);
  auto second = std::make_shared<FakeChannel>();
  ASSERT_TRUE(link.Attach(second, 4).ok());
  EXPECT_THAT(second->sequences, ElementsAre(5, 6));
  EXPECT_THAT(second->acknowledgements, ElementsAre(1, 1));
  link.SendOnce(MessageType::kHeartbeat, {});
  Send(&link, 1);
  EXPECT_THAT(second->sequences, ElementsAre(5, 6, 0, 7));
}

TEST(LinkTest, HandlesEachFrameOnceAndFindsGaps) {
  Link link;
  EXPECT_TRUE(*link.Receive(Header(1)));
  EXPECT_FALSE(*link.Receive(Header(1)));
  EXPECT_TRUE(*link.Receive(Header(2)));
  EXPECT_FALSE(*link.Receive(Header(1)));
  EXPECT_TRUE(*link.Receive(Header(0))) << "not numbered";
  const Status gap = link.Receive(Header(4)).status();
  EXPECT_EQ(gap.code(), StatusCode::kDataLoss);
  EXPECT_THAT(gap.message(), HasSubstr("expected number 3, found 4"));
  EXPECT_EQ(link.received(), 2u);
  EXPECT_TRUE(link.CheckSent(2).ok());
  EXPECT_EQ(link.CheckSent(3).code(), StatusCode::kDataLoss) << "the last frame was lost";
  EXPECT_TRUE(*link.Receive(Header(3)));
}

TEST(LinkTest, RefusesNumbersThatCannotBe) {
  Link link;
  ASSERT_TRUE(link.Attach(std::make_shared<FakeChannel>(), 0).ok());
  Send(&link, 3);
  EXPECT_EQ(link.Receive(Header(1, 4)).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(link.Receive(Header(1, 2)).ok());
  link.Detach();
  EXPECT_EQ(link.Attach(std::make_shared<FakeChannel>(), 4).code(), StatusCode::kDataLoss);
  EXPECT_EQ(link.Attach(std::make_shared<FakeChannel>(), 1).code(), StatusCode::kDataLoss) << "2 was acknowledged";
  EXPECT_TRUE(link.Attach(std::make_shared<FakeChannel>(), 3).ok());
  EXPECT_EQ(link.frames_kept(), 0u);
}

TEST(LinkTest, KeepsNothingWhereNothingBreaksAndNotTooMuchElsewhere) {
  Link within_a_machine;
  auto channel = std::make_shared<FakeChannel>(/*may_break=*/false);
  ASSERT_TRUE(within_a_machine.Attach(channel, 0).ok());
  Send(&within_a_machine, 2000);
  EXPECT_EQ(within_a_machine.frames_kept(), 0u);
  EXPECT_FALSE(within_a_machine.overflowed());

  Link link;
  auto deaf = std::make_shared<FakeChannel>();
  ASSERT_TRUE(link.Attach(deaf, 0).ok());
  Send(&link, Link::kFramesKeptMax);
  EXPECT_FALSE(link.overflowed());
  Send(&link, 1);
  EXPECT_TRUE(link.overflowed());
  EXPECT_EQ(deaf->sequences.size(), Link::kFramesKeptMax);
}

TEST(LinkTest, AnEndedLinkSendsNothing) {
  Link link;
  link.End();
  Send(&link, 3);
  EXPECT_EQ(link.frames_kept(), 0u);
  EXPECT_EQ(link.sent(), 0u);
}

}  // namespace
}  // namespace weir
