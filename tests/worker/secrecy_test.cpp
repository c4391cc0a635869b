// Nothing that opens an update, and nothing of its plaintext, is in any effect but the opening item
// itself, whatever the worker goes through.
#include "tests/worker/worker_fixture.h"

namespace fedmesh::worker {
namespace {

using protocol::RoundPhase;
using ::testing::HasSubstr;
using ::testing::Not;

// The bytes that leave the step machine with an effect.
Bytes bytes_of(const Effect& effect) {
  Bytes out;
  const auto add = [&](std::string_view text) { append(out, as_bytes(text)); };
  if (const auto* send = std::get_if<Send>(&effect)) {
    out = send->message;
  } else if (const auto* task = std::get_if<RunTask>(&effect)) {
    out = task->request.body;
  } else if (const auto* item = std::get_if<Persist>(&effect)) {
    add(item->name);
    append(out, item->bytes);
  } else if (const auto* erase = std::get_if<Erase>(&effect)) {
    add(erase->name);
  } else if (const auto* blob = std::get_if<StoreBlob>(&effect)) {
    out = blob->bytes;
  } else if (const auto* disconnect = std::get_if<Disconnect>(&effect)) {
    add(disconnect->reason);
  } else if (const auto* log = std::get_if<Log>(&effect)) {
    add(to_json_line(log->event));
    add(log->line);
  }
  return out;
}

bool holds(const Bytes& bytes, ByteView needle) {
  return std::search(bytes.begin(), bytes.end(), needle.begin(), needle.end()) != bytes.end();
}

class SecrecyTest : public WorkerTest {
 protected:
  void remember() {
    const auto stored = stored_opening();
    const auto update = own_update();
    secrets_["content key"] = Bytes(stored.content_key.begin(), stored.content_key.end());
    secrets_["salt"] = Bytes(update.header.salt.begin(), update.header.salt.end());
    secrets_["seed share"] = to_bytes(update.header.seed_share);
    secrets_["values"] = trainer::to_le_bytes(
        std::vector<std::int32_t>(update.values.begin(), update.values.begin() + 4));
    secrets_["delta"] = trainer::to_le_bytes(std::vector<float>{1.0f, 0.25f, 0.25f, 0.25f});
  }
  void expect_hidden(const std::string& opening) {
    int openings = 0;
    for (const auto& effect : all_) {
      const auto* item = std::get_if<Persist>(&effect);
      const bool allowed = item != nullptr && item->name == opening;
      openings += allowed ? 1 : 0;
      const Bytes bytes = bytes_of(effect);
      for (const auto& [name, secret] : secrets_) {
        const bool found = holds(bytes, secret) || holds(bytes, as_bytes(to_hex(secret)));
        if (allowed && name == "content key") {
          EXPECT_TRUE(found) << "the search finds what is there";
        } else {
          EXPECT_FALSE(found) << name << " in effect " << effect.index();
        }
      }
    }
    EXPECT_EQ(openings, 1);
  }
  std::map<std::string, Bytes> secrets_;
};

TEST_F(SecrecyTest, OfAWholeRoundWithRestarts) {
  link();
  open_job(private_clinics_job());
  open_round(4);
  const auto opening = opening_name();
  answer_train(1.0f);
  remember();
  const auto record = take_commit();
  restart();
  round_.cohort[0].commitment = record->commitment;
  put_round(RoundPhase::revealing);
  EXPECT_TRUE(take_reveal().has_value()) << said();
  unlink();
  link();
  restart();
  round_.cohort[0].reveal = Digest{};
  put_round(RoundPhase::checking);
  put_round(RoundPhase::finished);
  job_.phase = protocol::JobPhase::finished;
  put_job();
  block();
  expect_hidden(opening);
}

TEST_F(SecrecyTest, OfARoundThatIsSatOut) {
  link();
  open_job(private_clinics_job());
  open_round(4);
  const auto opening = opening_name();
  answer_train(1.0f);
  remember();
  round_.cohort[0].commitment = take_commit()->commitment;
  round_.members[3].round_key = crypto::X25519Public{};
  put_round(RoundPhase::revealing);
  put_round(RoundPhase::voided);
  expect_hidden(opening);
}

TEST_F(SecrecyTest, TheLogHasNoCommitment) {
  link();
  open_job(clinics_job());
  open_round();
  const Digest commitment = commit();
  for (const auto& log : log_)
    EXPECT_THAT(to_json_line(log.event), Not(HasSubstr(commitment.hex())));
}

}  // namespace
}  // namespace fedmesh::worker
