// Seeds of how updates travel: sealed, offered, fetched, and what is left of it on disks.
#include <rocksdb/file_system.h>

#include <fstream>

#include "coordinator/ledger/rocksdb_store/backup_manifest.h"
#include "coordinator/ledger/rocksdb_store/head_mark.h"
#include "coordinator/protocol/messages.h"
#include "coordinator/rounds/aggregate.h"
#include "net/blob_messages.h"
#include "tests/base/temporary_folder.h"
#include "tests/fuzz/coordinator_network.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/sealed_round.h"
#include "tests/fuzz/target.h"

namespace fedmesh::fuzz {
namespace {

void add_sealed(Corpus& corpus) {
  for (const auto kind : {protocol::RoundKind::training, protocol::RoundKind::standardisation})
    corpus.add("sealed_update",
               kind == protocol::RoundKind::training ? "training" : "standardisation",
               prefixed(static_cast<std::uint8_t>(kind),
                        plain_update(rounds::update_dimension(sealed_job(), kind))));
  const auto round = sealed_round(protocol::RoundKind::training);
  const auto& member = round.members.front();
  const auto box = protocol::seal_key(sealed_content_key(), sealed_context(round), member.member,
                                      *member.round_key, protocol::sample_id(5));
  corpus.add("sealed_key", "box", box->box);
  corpus.add("sealed_key", "zero", Bytes(protocol::kBoxBytes));
}

void add_bulk(Corpus& corpus) {
  const Bytes blob(70'000, 42);
  const Digest root = crypto::blob_root(blob);
  const ByteView first(blob.data(), crypto::kBlobLeafBytes);
  const ByteView second = ByteView(blob).subspan(crypto::kBlobLeafBytes);
  const Bytes page = net::encode_bulk(net::ManifestPage{
      root, blob.size(), 0, {crypto::blob_leaf(first), crypto::blob_leaf(second)}});
  const auto pieces = [](const Digest& of, std::uint64_t from, ByteView bytes) {
    Bytes out = net::begin_chunks(of, from, bytes.size());
    std::ranges::copy(bytes, out.begin() + net::kChunksHeaderBytes);
    return out;
  };
  const Bytes small(100, 7);
  corpus.add("bulk_message", "manifest-request", net::encode_bulk(net::ManifestRequest{root, 0}));
  corpus.add("bulk_message", "chunk-request", net::encode_bulk(net::ChunkRequest{root, 0, 2}));
  corpus.add("bulk_message", "manifest-page", page);
  corpus.add("bulk_message", "chunks", pieces(root, 0, small));
  corpus.add("bulk_message", "missing", net::encode_bulk(net::Missing{root}));
  // Steps as targets/blob_exchange.cpp reads them, all of the first peer.
  constexpr std::uint8_t kUp = 0, kReceived = 8, kTaken = 16, kTick = 28;
  const Digest small_root = crypto::blob_root(small);
  Bytes fetch = chunk(small_root.view());
  fetch.push_back(kUp);
  for (const Bytes& message : {net::encode_bulk(net::ManifestPage{
                                   small_root, small.size(), 0, {crypto::blob_leaf(small)}, small}),
                               pieces(small_root, 0, small)})
    append(fetch, prefixed(kReceived, chunk(message)));
  fetch.push_back(kTick);
  corpus.add("blob_exchange", "fetched", fetch);
  const Digest held = crypto::blob_root(Bytes(70'000, 9));  // by the target's store
  Bytes serve = chunk(small_root.view());
  serve.push_back(kUp);
  for (const Bytes& message : {net::encode_bulk(net::ManifestRequest{held, 0}),
                               net::encode_bulk(net::ChunkRequest{held, 0, 2})}) {
    append(serve, prefixed(kReceived, chunk(message)));
    serve.push_back(kTaken);
  }
  corpus.add("blob_exchange", "served", serve);
}

// Peers and steps as targets/coordinator.cpp reads them.
void add_coordinator(Corpus& corpus) {
  const ChainId chain = ledger::chain_id(network_genesis());
  const auto say = [](int who, const protocol::Message& message) {
    return prefixed(static_cast<std::uint8_t>(8 + who - 1),
                    chunk(protocol::encode_message(message)));
  };
  const auto spec = network_job();
  const auto valid = spec.validate();
  FM_CHECK(valid.ok(), valid.ok() ? "" : valid.error().detail.c_str());
  const JobId job = protocol::job_id(chain, network_key(2).public_key(), 1, spec);
  const auto record = [&](int who, ledger::RecordKind kind, std::uint64_t seq,
                          const auto& payload) {
    return say(who, protocol::SubmitRecord{ledger::encode_record(ledger::sign_record(
                        network_key(who), kind, chain, job, seq, codec::encode(payload)))});
  };
  Bytes session;
  for (int who = 2; who <= 4; ++who) {
    session.push_back(static_cast<std::uint8_t>(who - 1));  // the link is up
    append(session, say(who, protocol::Hello{chain, "fuzz", true, std::nullopt}));
  }
  constexpr std::uint8_t kTick = 20;
  append(session, record(2, ledger::RecordKind::job, 1, protocol::Job{spec}));
  session.push_back(kTick);
  for (int who = 3; who <= 4; ++who) {
    protocol::Enrol enrol;
    enrol.data_root = protocol::sample_id(static_cast<std::uint8_t>(who));
    enrol.record_count = 100;
    enrol.schema_hash = spec.schema.hash();
    enrol.memory_mb = 1024;
    append(session, record(who, ledger::RecordKind::enrol, 1, enrol));
  }
  session.push_back(kTick);
  const protocol::Slot slot{RoundNumber{1}, Attempt{0}};
  for (const std::uint8_t commitment : {1, 2})
    append(session, record(3, ledger::RecordKind::commit, 1 + commitment,
                           protocol::Commit{slot, protocol::sample_id(commitment)}));
  session.push_back(kTick);
  corpus.add("coordinator", "round-with-evidence", session);
  Bytes queries;
  queries.push_back(1);
  append(queries, say(2, protocol::Hello{chain, "fuzz", false, std::nullopt}));
  append(queries, say(2, protocol::BlobOffer{protocol::sample_id(1), 1000}));
  append(queries, say(2, protocol::StateQuery{1, "node/", "", 10}));
  append(queries, say(2, protocol::BlockQuery{2, Height{1}}));
  append(queries, say(2, protocol::StatusQuery{3}));
  append(queries, prefixed(16, chunk(protocol::sample_id(1).view())));
  corpus.add("coordinator", "queries", queries);
}

void add_files(Corpus& corpus) {
  const ChainId chain{protocol::sample_id(1).bytes};
  corpus.add("backup_manifest", "two-files",
             ledger::encode_backup_manifest({chain,
                                             Height{7},
                                             protocol::sample_id(2),
                                             {{"ledger.export", 1000, protocol::sample_id(3)},
                                              {"blobs/one", 20, protocol::sample_id(4)}}}));
  const auto files = rocksdb::FileSystem::Default();
  const TemporaryFolder folder;
  const auto path = folder.path() / "head";
  const ledger::HeadPosition position{chain, Height{7}, protocol::sample_id(2)};
  FM_CHECK(ledger::HeadMark::create(*files, path, position).ok(), "the mark is written");
  std::ifstream in(path, std::ios::binary);
  corpus.add("head_mark", "mark", {std::istreambuf_iterator<char>(in), {}});
  Bytes items = prefixed(0, chunk(Bytes(32, 3)));
  append(items, prefixed(3, chunk(as_bytes("contribution/x/1/y"))));
  append(items, prefixed(4, chunk(Bytes(100, 1))));
  append(items, prefixed(5, chunk(Bytes(40, 1))));
  corpus.add("stored_items", "some", items);
  corpus.add("stored_items", "none", Bytes{});
}

}  // namespace

void add_update_seeds(Corpus& corpus) {
  add_sealed(corpus);
  add_bulk(corpus);
  add_coordinator(corpus);
  add_files(corpus);
}

}  // namespace fedmesh::fuzz
