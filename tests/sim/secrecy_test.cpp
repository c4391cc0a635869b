// What an observer of all links, of the ledger, of the logs and of every blob may never find: a
// marker that stands in one patient's row, in any form, and anything that follows from values
// before noise without a secret salt.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/crypto/blob_hash.h"
#include "base/crypto/digest.h"
#include "models/data/csv.h"
#include "models/data/generators.h"
#include "tests/base/temporary_folder.h"
#include "tests/sim/sim_fixture.h"

namespace fedmesh::sim {
namespace {

bool holds(ByteView haystack, ByteView needle) {
  return as_text(haystack).find(as_text(needle)) != std::string_view::npos;
}

template <class T>
Bytes bytes_of(T value) {
  Bytes out(sizeof(T));
  std::memcpy(out.data(), &value, sizeof(T));
  return out;
}

// A patient whose values occur nowhere else.
constexpr double kPressure = 123.4567891;
constexpr double kCholesterol = 219.7531862;
constexpr const char* kPressureText = "123.4567891";
constexpr const char* kCholesterolText = "219.7531862";

struct Needle {
  std::string name;
  Bytes bytes;
};

// The hospital's file: the generated patients of clinic 0, and the marked one last.
class PlantedMarker : public testing::Test {
 protected:
  void SetUp() override {
    const std::string csv = models::clinics_table(1, 0, 5).csv;
    const auto lines = csv.find('\n') + 1;
    std::string row = csv.substr(lines, csv.find('\n', lines) - lines);
    std::vector<std::string> fields;
    std::stringstream stream(row);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    fields[2] = kPressureText;
    fields[3] = kCholesterolText;
    row_.clear();
    for (const auto& field : fields) row_ += (row_.empty() ? "" : ",") + field;
    std::ofstream(path_) << csv << row_ << '\n';
  }

  std::vector<Needle> needles() const {
    std::vector<Needle> out{
        {"the row", to_bytes(as_bytes(row_))},
        {"sha256 of the row", to_bytes(crypto::sha256(as_bytes(row_)).view())},
        {"blake2b of the row", to_bytes(crypto::blake2b(as_bytes(row_)).view())}};
    const auto add = [&](double value, const char* text) {
      const std::string name = text;
      out.push_back({name + " as text", to_bytes(as_bytes(text))});
      out.push_back({name + " as text, rounded", to_bytes(as_bytes(name.substr(0, 8)))});
      out.push_back({name + " as f32", bytes_of(static_cast<float>(value))});
      out.push_back({name + " as f64", bytes_of(value)});
      out.push_back(
          {name + " as f64 of its f32", bytes_of(static_cast<double>(static_cast<float>(value)))});
      out.push_back({name + " in micro, i64", bytes_of(static_cast<std::int64_t>(value * 1e6))});
      out.push_back({name + " in micro, i32", bytes_of(static_cast<std::int32_t>(value * 1e6))});
      out.push_back({name + " in granules, i32",
                     bytes_of(static_cast<std::int32_t>(std::llround(std::ldexp(value, 14))))});
    };
    add(kPressure, kPressureText);
    add(kCholesterol, kCholesterolText);
    // The row as the model sees it before standardisation, and its unsalted hashes.
    const auto data = models::read_csv(path_, models::clinics_schema());
    EXPECT_TRUE(data.ok());
    const auto row = data->row(data->rows() - 1);
    Bytes inputs;
    for (const float value : row) append(inputs, bytes_of(value));
    out.push_back({"sha256 of the inputs", to_bytes(crypto::sha256(inputs).view())});
    out.push_back({"blake2b of the inputs", to_bytes(crypto::blake2b(inputs).view())});
    return out;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "clinic.csv";
  std::string row_;
};

// The test can fail: the needles are found where the marker does stand.
TEST_F(PlantedMarker, TheFileHoldsIt) {
  std::ifstream in(path_);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(holds(as_bytes(text.str()), as_bytes(kPressureText)));
  const auto data = models::read_csv(path_, models::clinics_schema());
  ASSERT_TRUE(data.ok()) << data.error().to_string();
  const ByteView inputs(reinterpret_cast<const std::uint8_t*>(data->inputs.data()),
                        data->inputs.size() * sizeof(float));
  EXPECT_TRUE(holds(inputs, bytes_of(static_cast<float>(kPressure))));
}

TEST_F(PlantedMarker, NothingThatLeavesTheHospitalHoldsIt) {
  auto options = clinics(31);
  options.data[0] = path_.string();
  const auto all = needles();
  std::uint64_t looked_at = 0;
  const auto look = [&](ByteView bytes, const std::string& where) {
    looked_at += bytes.size();
    for (const auto& needle : all)
      EXPECT_FALSE(holds(bytes, needle.bytes)) << needle.name << " in " << where;
  };
  Watched sim(std::move(options),
              [&](const NodeId& from, const NodeId&, const Bytes& message, Channel) {
                look(message, "a message of " + from.short_hex());
              });
  const auto job = clinics_job(3);
  const JobId id = sim.federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(sim.federation.run(id));
  ASSERT_EQ(sim.federation.job(id).enrolled.size(), 5u);
  ASSERT_GE(rounds_with(sim.federation, id, sim.federation.worker_id(0)), 3u);
  look(sim.federation.ledger_export(), "the ledger's export");
  for (const auto& [root, blob] : sim.federation.blobs()) look(blob, "a blob");
  for (const auto& event : sim.federation.events()) look(as_bytes(to_json_line(event)), "the log");
  for (std::size_t i = 0; i < sim.federation.workers(); ++i)
    look(as_bytes(sim.federation.last_line(i)), "a terminal line");
  EXPECT_GT(looked_at, 100'000u);
}

// What a worker sealed in one round, in every form that would let somebody test a guess of it.
std::vector<Needle> secrets_of(const SealedPlain& plain) {
  const ByteView values(reinterpret_cast<const std::uint8_t*>(plain.values.data()),
                        plain.values.size() * 4);
  std::vector<Needle> out{{"content key", to_bytes(plain.content_key)},
                          {"values", to_bytes(values)},
                          {"seed share", to_bytes(plain.header.seed_share)},
                          {"salt", to_bytes(plain.header.salt)}};
  out.push_back({"blake2b of values", to_bytes(crypto::blake2b(values).view())});
  out.push_back({"sha256 of values", to_bytes(crypto::sha256(values).view())});
  out.push_back({"root of values", to_bytes(crypto::blob_root(values).view())});
  return out;
}

// The ciphertext's root is public and hides behind a fresh key; the rest follows from the update.
TEST(UnnoisedValuesTest, NoKeyHashShareOrSaltOfAnUpdateIsOnTheLedgerOrInTheLog) {
  Watched sim(clinics(32));
  const auto job = clinics_job(3);
  ASSERT_TRUE(sim.federation.run(sim.federation.submit(job.spec, job.evaluation)));
  ASSERT_GE(sim.federation.sealed().size(), 20u);  // a query round and three rounds of five
  const Bytes ledger = sim.federation.ledger_export();
  std::string log;
  for (const auto& event : sim.federation.events()) log += to_json_line(event) + "\n";
  for (const auto& plain : sim.federation.sealed()) {
    for (const auto& needle : secrets_of(plain)) {
      EXPECT_FALSE(holds(ledger, needle.bytes)) << needle.name << " on the ledger";
      EXPECT_EQ(log.find(to_hex(needle.bytes)), std::string::npos) << needle.name << " in the log";
    }
  }
}

// During a round a worker's disk holds its content key: the test can fail.
TEST(ErasureTest, AfterARoundNoDiskHoldsAKeyOrCiphertext) {
  bool seen = false;
  Federation* self = nullptr;
  Watched sim(clinics(33), {}, [&] {
    if (self == nullptr || self->sealed().empty() || seen) return;
    for (std::size_t i = 0; i < self->workers(); ++i)
      seen = seen || self->disk(i).contains(self->sealed().back().content_key);
  });
  self = &sim.federation;
  Federation& federation = sim.federation;
  const auto job = clinics_job(2);
  const JobId id = federation.submit(job.spec, job.evaluation);
  ASSERT_TRUE(federation.run(id));
  federation.world().run_until([] { return false; }, std::chrono::minutes(1));
  EXPECT_TRUE(seen);
  for (const auto& plain : federation.sealed()) {
    EXPECT_FALSE(federation.coordinator_disk().contains(plain.content_key));
    EXPECT_FALSE(federation.coordinator_disk().contains(plain.header.salt));
    EXPECT_FALSE(federation.coordinator_disk().contains(plain.header.seed_share));
    for (std::size_t i = 0; i < federation.workers(); ++i)
      EXPECT_FALSE(federation.disk(i).contains(plain.content_key)) << "worker " << i;
  }
  EXPECT_THAT(*federation.coordinator_disk().list("items"), testing::IsEmpty()) << "round keys";
  for (std::size_t i = 0; i < federation.workers(); ++i)
    for (const auto& [name, bytes] : federation.items(i))
      EXPECT_FALSE(name.starts_with("opening")) << name;
  for (const auto& round : federation.rounds(id))
    for (const auto& slot : round.cohort) EXPECT_TRUE(slot.in_set);
}

}  // namespace
}  // namespace fedmesh::sim
