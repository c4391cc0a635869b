// A planted row: whatever leaves a worker, and whatever is left in any file, must not hold it.
#include <gmock/gmock.h>

#include <bit>
#include <cstring>
#include <map>

#include "tests/e2e/federation.h"
#include "tests/e2e/tcp_proxy.h"

namespace fedmesh::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::Not;

const std::string kMarkerName = "Zebedee-Quillfeather-9241";
const std::string kMarkerText = "-654321.375";
constexpr double kMarker = -654321.375;  // exact as a float, too

template <class Value>
std::string bytes_of(Value value, std::endian order) {
  std::string out(sizeof(value), '\0');
  std::memcpy(out.data(), &value, sizeof(value));
  if (order != std::endian::native) out.assign(out.rbegin(), out.rend());
  return out;
}

// The row as text and as it may lie in memory. The value stands in two columns side by side: a
// single float of four bytes would turn up in random bytes now and then.
std::map<std::string, std::string> patterns() {
  std::map<std::string, std::string> out = {{"name", kMarkerName},
                                            {"digits", kMarkerText.substr(1)}};
  for (const auto order : {std::endian::little, std::endian::big}) {
    const std::string where = order == std::endian::little ? ", little" : ", big";
    const std::string single = bytes_of(static_cast<float>(kMarker), order);
    out["floats" + where] = single + single;
    out["double" + where] = bytes_of(kMarker, order);
    out["micro" + where] = bytes_of(static_cast<std::int64_t>(kMarker * 1e6), order);
    out["nano" + where] = bytes_of(static_cast<std::int64_t>(kMarker * 1e9), order);
  }
  return out;
}

void expect_clean(const std::string& what, const std::string& bytes) {
  for (const auto& [form, pattern] : patterns())
    EXPECT_EQ(bytes.find(pattern), std::string::npos) << what << " holds the marker as " << form;
}

TEST(Marker, NoCaptureFileLogOrExportHoldsAPlantedRow) {
  Federation net;
  ASSERT_NO_FATAL_FAILURE(net.init({"one", "two"}));
  ASSERT_NO_FATAL_FAILURE(net.start_coordinator());
  std::string row = kMarkerName + ",50,";
  row += kMarkerText + "," + kMarkerText + ",1\n";
  net.write_table("one.csv", 1, row);
  std::string captured, bulk_captured;
  {
    const TcpProxy proxy(net.endpoint());
    const TcpProxy bulk(net.bulk_endpoint());
    net.start_worker("one", {}, proxy.endpoint());
    net.start_worker("two", {}, proxy.endpoint());
    for (const char* name : {"one", "two"})
      ASSERT_TRUE(net.worker(name).says("connected to coordinator")) << name;
    JobText job{.name = "marked"};
    job.rest =
        "[privacy]\nunit = \"record\"\nmechanism = \"laplace\"\nclip_l1 = 1.0\n"
        "epsilon_per_round = 0.25\nepsilon_total = 1.0\n"
        "[preprocessing]\nstandardise = \"private\"\nepsilon = 0.5\n";
    ASSERT_FALSE(net.submit(job).empty());
    const Ran watched = net.online({"job", "watch", "marked"});
    ASSERT_EQ(watched.code, 0) << watched.out << watched.err;
    for (const char* name : {"one", "two"})
      ASSERT_TRUE(net.worker(name).says("marked: finished")) << name;
    captured = proxy.captured();
    bulk_captured = bulk.captured();
  }
  ASSERT_EQ(net.online({"job", "fetch", "marked", "--out", net.path("out")}).code, 0);
  ASSERT_EQ(net.online({"ledger", "export", net.path("all.export")}).code, 0);

  for (const auto& [what, bytes] :
       {std::pair("the network", captured), std::pair("the bulk plane", bulk_captured)}) {
    EXPECT_GT(bytes.size(), 3'000u) << what;  // the models and updates of this job are small
    EXPECT_NE(bytes.find("NULL"), std::string::npos) << what << ": the greetings are lacking";
    expect_clean(what, bytes);
  }
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(net.home())) {
    if (!entry.is_regular_file() || entry.path() == fs::path(net.path("one.csv"))) continue;
    ++files;
    expect_clean(entry.path().string(), read_text(entry.path()));
  }
  EXPECT_GT(files, 20);
  EXPECT_NE(read_text(net.path("one.csv")).find(kMarkerName), std::string::npos);
}

}  // namespace
}  // namespace fedmesh::e2e
