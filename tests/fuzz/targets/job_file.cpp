// The job file: TOML from anybody who starts a job.
#include "coordinator/protocol/job_file.h"

#include "coordinator/protocol/round_records.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const auto file = protocol::parse_job_file(as_text({data, size}), "job.toml");
  if (!file.ok()) {
    FM_CHECK(file.error().detail.starts_with("job.toml"), "a mistake does not name the file");
    return 0;
  }
  fuzz::accepted();
  const Bytes encoded = codec::encode(protocol::Job{file->spec});
  FM_CHECK(fuzz::check_canonical(protocol::decode_payload<protocol::Job>(encoded), encoded),
           "an accepted job file makes a record that no node can read");
  FM_CHECK(file->evaluation_path || file->spec.validate().ok(),
           "an accepted job file makes a job that nodes refuse");
  return 0;
}
