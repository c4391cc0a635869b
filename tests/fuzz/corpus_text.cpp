// Seeds of what people write: job files, options, configuration.
#include "tests/coordinator/protocol/sample_files.h"
#include "tests/fuzz/corpus.h"

namespace fedmesh::fuzz {

void add_text_seeds(Corpus& corpus) {
  corpus.add_text("job_file", "clinics", protocol::kClinicsFile);
  corpus.add_text("job_file", "images", protocol::kImagesFile);
  corpus.add_text("job_file", "table", protocol::kTableFile);

  const Bytes one_tenth{0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f};  // a double, little-endian
  for (const char* text : {"0.25", "-9223372036.854775808", "1", "0.000000001"}) {
    Bytes bytes = one_tenth;
    append(bytes, as_bytes(text));
    corpus.add("decimal", "number", bytes);
    corpus.add_text("option_text", "number", text);
  }
  for (const char* text : {"22:00-06:00", "00:00-24:00"})
    corpus.add_text("option_text", "hours", text);
  corpus.add_text("option_text", "node", std::string(64, '7'));
  corpus.add_text("option_text", "architecture", "logistic");

  corpus.add_text("config_file", "all",
                  "coordinator = \"example.org:7000\"\nthreads = 5\nmax_epsilon = 0.25\n"
                  "device = \"cuda\"\nallow = [\"a\", \"b\"]\nquiet = true\n");
  corpus.add_text("key_file", "key", "fedmesh-ed25519-v1\n" + std::string(64, 'a') + "\n");

  for (const char* text :
       {"patients.csv", "dir/a b.csv#10-19?split=train:0.66:1", "images.idx3.gz,labels.idx1.gz",
        "i.gz,l.gz#0-7999?split=test:0.25:9", "clinics:silo=0,silos=5,seed=1",
        "clinics-validation:rows=2000,seed=1", "digits:rows=1000,seed=3,part=0,parts=8"})
    corpus.add_text("source_uri", "source", text);
}

}  // namespace fedmesh::fuzz
