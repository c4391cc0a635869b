// Seeds of everything that the ledger writes, from the small chain of its own tests.
#include <sstream>

#include "coordinator/ledger/entries.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/proof.h"
#include "tests/coordinator/ledger/toy.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/merkle_claim.h"
#include "tests/fuzz/target.h"

namespace fedmesh::fuzz {
namespace {

using namespace ledger;

template <class Proof>
Bytes with_genesis(const toy::Network& network, const Proof& proof) {
  Bytes out = chunk(encode_genesis(network.founding));
  append(out, encode_proof(proof));
  return out;
}

void add_proofs(Corpus& corpus, const toy::Network& network, const Record& of_a_job,
                const Record& of_none) {
  const Chain& chain = *network.chain;
  corpus.add("proof", "entry", with_genesis(network, *prove_state_entry(chain, "kv/k0")));
  corpus.add("proof", "absence", with_genesis(network, *prove_state_entry(chain, "kv/none")));
  corpus.add("proof", "record-of-a-job",
             with_genesis(network, *prove_record(chain, record_hash(of_a_job))));
  corpus.add("proof", "record-of-none",
             with_genesis(network, *prove_record(chain, record_hash(of_none))));
}

void add_merkle(Corpus& corpus, const toy::Network& network) {
  MerkleLog log;
  for (std::uint8_t i = 0; i < 7; ++i) log.append(merkle_leaf(Bytes{i}));
  const StateEntryProof proof = *prove_state_entry(*network.chain, "kv/k0");
  const StateEntry& entry = proof.entry;
  MerkleClaim claim{3, 7, *log.leaf(3), log.root(), *log.inclusion_proof(3, 7), {}, {}, {}};
  corpus.add("merkle", "inclusion", codec::encode(claim));
  claim = {3, 7, *log.root_at(3), log.root(), *log.consistency_proof(3, 7), {}, {}, {}};
  corpus.add("merkle", "consistency", codec::encode(claim));
  claim = {0, 0, {}, proof.header.state_root, {}, entry.key, entry.value, entry.proof};
  corpus.add("merkle", "state-entry", codec::encode(claim));
}

}  // namespace

void add_ledger_seeds(Corpus& corpus) {
  toy::Network network(4);
  const Record of_none = network.record(RecordKind::enrol, "k0=v0");
  const Record of_a_job = network.record(RecordKind::commit, "c", toy::job(1));
  const CertifiedBlock first = network.extend({of_none, of_a_job}, 2000);
  Bytes told = chunk(encode_genesis(network.founding));
  append(told, chunk(encode_proof(*prove_state_entry(*network.chain, "kv/k0"))));
  network.extend({network.record(RecordKind::enrol, "k1=v1")}, 3000);
  append(told, chunk(encode_proof(*prove_state_entry(*network.chain, "kv/k1"))));
  corpus.add("light_client", "two-heads", told);

  corpus.add("record", "of-none", encode_record(of_none));
  corpus.add("record", "of-a-job", encode_record(of_a_job));
  corpus.add("block", "plain", encode_block(first.block));
  corpus.add("block", "certified", encode_certified_block(first));
  corpus.add("genesis", "plain", encode_genesis(network.founding));
  corpus.add("genesis", "file", genesis_file_bytes(network.founding));
  add_proofs(corpus, network, of_a_job, of_none);
  add_merkle(corpus, network);
  std::ostringstream out;
  FM_CHECK(write_export(out, *network.chain).ok(), "the toy chain can be exported");
  corpus.add_text("ledger_export", "two-blocks", out.str());
  corpus.add("ledger_entry", "sequence", encode_author_seq(300));
  corpus.add("ledger_entry", "job-log", codec::encode(JobLogEntry{7, Digest{}}));
}

}  // namespace fedmesh::fuzz
