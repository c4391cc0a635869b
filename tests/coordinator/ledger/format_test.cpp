// The lasting formats, pinned: digests of every encoding, and the worked example in FORMAT.md,
// which this test regenerates.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/crypto/digest.h"
#include "coordinator/ledger/export.h"
#include "coordinator/ledger/proof.h"
#include "tests/coordinator/ledger/toy.h"

namespace fedmesh::ledger {
namespace {

using toy::Network;

std::string sha256_hex(ByteView bytes) { return crypto::sha256(bytes).hex(); }

struct Golden {
  const char* name;
  std::string actual;
  const char* expected;
};

TEST(FormatTest, EncodingsAreForEver) {
  Network network(4);
  network.grow(3);
  const Record record = network.chain->get({2})->block.records[1];
  const CertifiedBlock block = *network.chain->get({2});
  std::ostringstream file;
  ASSERT_TRUE(write_export(file, *network.chain).ok());
  const Golden table[] = {
      {"genesis file", sha256_hex(genesis_file_bytes(network.founding)),
       "b9909a6d627817df023226bb7ab5bab81d341772a0333d830ca133ceaba46ed1"},
      {"chain id", network.chain->id().hex(),
       "027118714467f960a4286bfc645d1bd96c719734a1cc4c844c7ab8bea5d2acb3"},
      {"committee", committee_hash(network.founding.committee).hex(),
       "2f84743e3c172771febf2a84edf3cbf903e5f6f2442da9e3110f450844685970"},
      {"session", network.chain->session().hex(),
       "e8e2d86aece23926cde584faf7ba9a2f17c154cfdda717dc4b3ae30d5c27703f"},
      {"record", sha256_hex(encode_record(record)),
       "88f53f20cc51f3d9d8ce9208d83f4a7586f169e956c8cedc000e4b6f81888e98"},
      {"record hash", record_hash(record).hex(),
       "5ecfa4bb34a56021ac78f654ebc3e5f427f61fafe6c1c374b4a3389dacf6b8ad"},
      {"record signed bytes", sha256_hex(record_signed_bytes(record)),
       "d0ff23c961a3dbffe3a51b99a13dbc7e82c919380345d33da57f7b363f58a6d2"},
      {"header", sha256_hex(codec::encode(block.block.header)),
       "8b9f9d92a2cf75da17defc6db6434db91f6781c94305125c7d74c4a0652c7fda"},
      {"header hash", header_hash(block.block.header).hex(),
       "6e457773e347f801312abdb62c31c37c9d3ea481c63b0d6aeaa2d2acc264afcb"},
      {"state root", block.block.header.state_root.hex(),
       "ec5d7c1346950e647f6086175d4c65ae72d2cab3210839e1bdefacda270ebab6"},
      {"block", sha256_hex(encode_block(block.block)),
       "9b85efcf60852098f5efd6dd02c83179cc9abffd2a91140c38d2da11f984ae1f"},
      {"certificate", sha256_hex(codec::encode(block.certificate)),
       "a61fb048b85a8a05bad403318ee3d1815c25cd4f05274b2e860c4ee8362ba6f1"},
      {"nullify vote", sha256_hex(vote_signed_bytes(VoteType::nullify, {}, 5, {}, {})),
       "c1852e4bd143be748e4b754dbfc4ca58f690d1d88266fd3a521ed22710711792"},
      {"record proof", sha256_hex(encode_proof(*prove_record(*network.chain, record_hash(record)))),
       "beeb07f68641fc5ea407287084856e8e4c1be49a8638cbbef5ca3ed913e4f8bd"},
      {"state proof", sha256_hex(encode_proof(*prove_state_entry(*network.chain, "kv/none"))),
       "c9874589ad222cc7338155f47416b57afccfecc6c5da529238cbbc49ab8f0ca3"},
      {"export", sha256_hex(as_bytes(file.str())),
       "1699796aba5d86c4742ba08e9bdb6a652cdc23867044f86614df03109c474466"},
  };
  for (const Golden& golden : table) EXPECT_EQ(golden.actual, golden.expected) << golden.name;
}

// Hexadecimal, 32 bytes a line, indented as FORMAT.md shows it.
std::string hex_lines(ByteView bytes) {
  std::string lines;
  for (std::size_t at = 0; at < bytes.size(); at += 32)
    lines +=
        "    " + to_hex(bytes.subspan(at, std::min<std::size_t>(32, bytes.size() - at))) + "\n";
  return lines;
}

TEST(FormatTest, TheWorkedExampleIsWhatTheProgramWrites) {
  Network network;
  const Record record = network.record(RecordKind::enrol, "a=1", toy::job(1));
  const CertifiedBlock block = network.extend({record}, 5000);
  std::ostringstream example;
  example << "Genesis (canonical), chain id " << network.chain->id().hex() << ":\n\n"
          << hex_lines(encode_genesis(network.founding)) << "\nRecord, record_hash "
          << record_hash(record).hex() << ":\n\n"
          << hex_lines(encode_record(record)) << "\nHeader of block 1, header_hash "
          << header_hash(block.block.header).hex() << ":\n\n"
          << hex_lines(codec::encode(block.block.header)) << "\nCertificate of block 1:\n\n"
          << hex_lines(codec::encode(block.certificate));
  std::ifstream in("coordinator/ledger/FORMAT.md");
  ASSERT_TRUE(in) << "the tests run in the repository's root";
  std::stringstream document;
  document << in.rdbuf();
  EXPECT_TRUE(document.str().find(example.str()) != std::string::npos)
      << "the worked example should read:\n"
      << example.str() << "(end of example)";
}

}  // namespace
}  // namespace fedmesh::ledger
