// Double commitments: what counts as evidence of one, what follows, and who notices.
#include "coordinator/rounds/evidence.h"

#include "tests/coordinator/rounds/chain_fixture.h"

namespace fedmesh::rounds {
namespace {

using ledger::RecordKind;
using protocol::Evidence;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class EvidenceTest : public ChainTest {
 protected:
  EvidenceTest() {
    start();
    open();
    say(kHub, RecordKind::accept, protocol::Accept{slot_, MachineKey()});
  }
  static crypto::X25519Public MachineKey() {
    return crypto::x25519_public(crypto::X25519Secret(std::array<std::uint8_t, 32>{8}));
  }
  ledger::Record commit_record(std::uint8_t author, std::uint8_t commitment) {
    return record(author, RecordKind::commit,
                  protocol::Commit{slot_, crypto::blake2b(Bytes{commitment})});
  }
  static Evidence evidence(const ledger::Record& one, const ledger::Record& two) {
    Evidence out{ledger::encode_record(one), ledger::encode_record(two)};
    if (BytesLess()(out.second, out.first)) std::swap(out.first, out.second);
    return out;
  }
  std::string refusal(const Evidence& of, std::uint8_t author = kOwner) {
    const auto refused = make_final({record(author, RecordKind::evidence, of)});
    return refused.empty() ? "taken" : refused[0];
  }
  protocol::NodeState node(std::uint8_t number) const {
    return *node_state(chain_->state(), id_of(number));
  }
};

TEST_F(EvidenceTest, TheOffenderLosesItsRolesUntilAdmittedAnew) {
  const auto proof = evidence(commit_record(worker(0), 1), commit_record(worker(0), 2));
  EXPECT_EQ(refusal(proof), "taken");
  EXPECT_EQ(node(worker(0)).roles, 0u);
  EXPECT_EQ(node(worker(0)).conduct_micro, 0);
  EXPECT_TRUE(node(worker(0)).banned);
  EXPECT_NE(node(worker(1)).roles, 0u);
  EXPECT_FALSE(node(worker(1)).banned);
  EXPECT_THAT(refusal(proof), HasSubstr("recorded already"));
  say(kOperator, RecordKind::admit,
      protocol::Admit{test_key(worker(0)).public_key(), protocol::kRoleWorker, "again"});
  EXPECT_EQ(node(worker(0)).roles, protocol::kRoleWorker);
  EXPECT_FALSE(node(worker(0)).banned);
  EXPECT_THAT(refusal(proof), HasSubstr("recorded already")) << "not twice for one offence";
}

TEST_F(EvidenceTest, OnlyTwoDifferentSignedCommitsOfOneSlotCount) {
  const auto one = commit_record(worker(0), 1);
  const auto two = commit_record(worker(0), 2);
  EXPECT_THAT(refusal(evidence(one, commit_record(worker(1), 2))), HasSubstr("one worker"));
  EXPECT_THAT(refusal(evidence(one, commit_record(worker(0), 1))), HasSubstr("are the same"))
      << "the same said twice";
  EXPECT_THAT(refusal(evidence(one, one)), HasSubstr("order of their bytes"));
  Evidence swapped = evidence(one, two);
  std::swap(swapped.first, swapped.second);
  EXPECT_THAT(refusal(swapped), HasSubstr("order of their bytes"));
  const auto later = record(worker(0), RecordKind::commit,
                            protocol::Commit{{RoundNumber{2}, Attempt{0}}, Digest{{1}}});
  EXPECT_THAT(refusal(evidence(one, later)), HasSubstr("one worker, job and round"));
  const auto other_kind = record(worker(0), RecordKind::decline, protocol::Decline{});
  EXPECT_THAT(refusal(evidence(one, other_kind)), HasSubstr("two commit records"));
  auto forged = two;
  forged.signature.bytes[0] ^= 1;
  EXPECT_THAT(refusal(evidence(one, forged)), HasSubstr("unauthenticated"));
  EXPECT_NE(refusal(Evidence{{}, {1}}), "taken");
  EXPECT_NE(node(worker(0)).roles, 0u);
}

TEST_F(EvidenceTest, ItIsBoundToItsJobAndChainAndAnAdmittedAuthor) {
  const auto proof = evidence(commit_record(worker(0), 1), commit_record(worker(0), 2));
  EXPECT_NE(refusal(proof, kStranger), "taken");
  const JobId here = job_;
  job_ = JobId{{9}};
  EXPECT_THAT(refusal(proof), HasSubstr("one worker, job and round"));
  EXPECT_THAT(refusal(evidence(commit_record(worker(0), 1), commit_record(worker(0), 2))),
              HasSubstr("no job"));
  job_ = here;
  const auto elsewhere = [&](std::uint8_t commitment) {
    return ledger::sign_record(
        test_key(worker(0)), RecordKind::commit, ChainId{{1}}, job_, ++seq_,
        codec::encode(protocol::Commit{slot_, crypto::blake2b(Bytes{commitment})}));
  };
  EXPECT_NE(refusal(evidence(elsewhere(1), elsewhere(2))), "taken");
  EXPECT_THAT(refusal(evidence(commit_record(kStranger, 1), commit_record(kStranger, 2))),
              HasSubstr("no node"));
  EXPECT_EQ(refusal(proof, kOperator), "taken") << "an operator without a role may say it too";
}

TEST_F(EvidenceTest, TheCollectorSeesTwoThatBothWait) {
  EvidenceCollector collector;
  const auto one = commit_record(worker(0), 1), two = commit_record(worker(0), 2);
  EXPECT_FALSE(collector.observe(*chain_, one));
  EXPECT_FALSE(collector.observe(*chain_, one)) << "the same record again";
  EXPECT_FALSE(collector.observe(*chain_, commit_record(worker(0), 1))) << "said again";
  EXPECT_FALSE(collector.observe(*chain_, commit_record(worker(1), 2))) << "another worker";
  const auto found = collector.observe(*chain_, two);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(refusal(*found), "taken");
}

TEST_F(EvidenceTest, TheCollectorKnowsWhatIsFinalAlsoAfterARestart) {
  ASSERT_THAT(make_final({commit_record(worker(0), 1)}), IsEmpty());
  EvidenceCollector fresh;
  EXPECT_FALSE(fresh.observe(*chain_, commit_record(worker(0), 1)));
  const auto found = fresh.observe(*chain_, commit_record(worker(0), 2));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(refusal(*found), "taken");
}

TEST_F(EvidenceTest, NobodyCanBeAccusedByARecordHeDidNotSign) {
  EvidenceCollector collector;
  auto forged = commit_record(worker(0), 3);
  forged.payload = codec::encode(protocol::Commit{slot_, Digest{{4}}});
  EXPECT_FALSE(collector.observe(*chain_, forged)) << "first: it is not kept";
  EXPECT_FALSE(collector.observe(*chain_, commit_record(worker(0), 1)));
  EXPECT_FALSE(collector.observe(*chain_, forged)) << "second: it proves nothing";
  // A stranger's copy of somebody's commitment is the stranger's own commit.
  EXPECT_FALSE(collector.observe(*chain_, commit_record(kStranger, 2)));
  EXPECT_TRUE(collector.observe(*chain_, commit_record(worker(0), 2)).has_value());
}

TEST_F(EvidenceTest, OnlyTheOpenRoundIsLookedAt) {
  EvidenceCollector collector;
  EXPECT_FALSE(
      collector.observe(*chain_, record(worker(0), RecordKind::decline, protocol::Decline{})));
  for (const std::uint8_t commitment : {1, 2}) {
    const protocol::Commit other{{RoundNumber{2}, Attempt{0}}, Digest{{commitment}}};
    EXPECT_FALSE(collector.observe(*chain_, record(worker(0), RecordKind::commit, other)));
    const JobId here = job_;
    job_ = JobId{{9}};
    EXPECT_FALSE(collector.observe(*chain_, commit_record(worker(0), commitment)));
    job_ = here;
  }
}

}  // namespace
}  // namespace fedmesh::rounds
