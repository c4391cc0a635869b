#include "coordinator/rounds/compute.h"

#include <algorithm>

namespace fedmesh::rounds {
namespace {

class BlobSource final : public ByteSource {
 public:
  explicit BlobSource(std::unique_ptr<net::BlobReader> reader) : reader_(std::move(reader)) {}
  std::uint64_t size() const override { return reader_->size(); }
  Result<void> read(std::uint64_t offset, MutableByteView to) const override {
    return reader_->read(offset, to);
  }

 private:
  std::unique_ptr<net::BlobReader> reader_;
};

class BlobSink final : public ByteSink {
 public:
  explicit BlobSink(std::unique_ptr<net::BlobWriter> writer) : writer_(std::move(writer)) {}
  Result<void> append(ByteView bytes) override { return writer_->append(bytes); }
  Result<Digest> finish() { return writer_->finish(); }

 private:
  std::unique_ptr<net::BlobWriter> writer_;
};

Result<OpenedUpdate> check(const CheckTask& task, net::BlobStore& blobs, net::Verify verify,
                           RunningSum* running) {
  const auto& round = task.view->round;
  const auto slot = std::find_if(round.cohort.begin(), round.cohort.end(),
                                 [&](const auto& s) { return s.worker == task.worker; });
  if (slot == round.cohort.end()) return invalid_argument("the worker is not in the cohort");
  FM_TRY(const auto ciphertext, open_blob(blobs, task.reveal.ciphertext_root, verify));
  return open_update(task.view->chain, task.view->spec, round, *slot, task.reveal, task.key,
                     *ciphertext, running);
}

Result<protocol::Attest> aggregate(const AggregateTask& task, net::BlobStore& blobs,
                                   net::Verify verify, RunningSum* running) {
  const auto& [chain, spec, round] = *task.view;
  FM_TRY(auto base_writer, blobs.create());
  FM_TRY(auto model_writer, blobs.create());
  BlobSink base(std::move(base_writer)), model(std::move(model_writer));
  const auto open = [&, &base_root = round.base_root](const Digest& root) {
    return open_blob(blobs, root, root == base_root ? net::Verify::leaves : verify);
  };
  FM_TRY(const auto result,
         compute_aggregate(chain, spec, round, task.updates, open, base, model, running));
  protocol::Attest attest;
  attest.slot = round.slot;
  attest.model_sha256 = result.model_sha256;
  FM_TRY(attest.model_root, model.finish());
  attest.base_root =
      round.kind == protocol::RoundKind::standardisation ? round.base_root : attest.model_root;
  if (result.separate_base) {
    FM_TRY(attest.base_root, base.finish());
  }
  attest.binding =
      protocol::attest_binding(round.config_hash, *round.reveal_set_root, attest.base_root,
                               attest.model_root, attest.model_sha256);
  return attest;
}

// What decryption refuses may be the disk's fault rather than the worker's: read again with every
// leaf checked, the store finds and drops what is damaged.
template <class Run>
auto blaming_the_right_one(const Run& run) {
  auto result = run(net::Verify::no);
  if (!result.ok() && result.error().code == ErrorCode::unauthenticated)
    result = run(net::Verify::leaves);
  return result;
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_blob(net::BlobStore& blobs, const Digest& root,
                                              net::Verify verify) {
  FM_TRY(auto reader, blobs.open(root, verify));
  return std::unique_ptr<ByteSource>(std::make_unique<BlobSource>(std::move(reader)));
}

ComputeDone compute(const ComputeTask& task, net::BlobStore& blobs, RunningSum* running) {
  if (const auto* one = std::get_if<CheckTask>(&task)) {
    const auto& round = one->view->round;
    return Checked{round.job, round.slot, one->worker,
                   blaming_the_right_one(
                       [&](net::Verify verify) { return check(*one, blobs, verify, running); })};
  }
  const auto& all = std::get<AggregateTask>(task);
  const auto& round = all.view->round;
  return Aggregated{round.job, round.slot, blaming_the_right_one([&](net::Verify verify) {
                      return aggregate(all, blobs, verify, running);
                    })};
}

}  // namespace fedmesh::rounds
