// What a worker asks of its trainer process and what comes back: dumb data in the canonical
// encoding, each message in one frame (frame.h). The same tasks run in-process in the simulator.
//
//   trainer -> worker   Ready once at start, then per request any number of Progress and one
//   Response worker -> trainer   Request; the end of the stream ends the trainer
//
// A frame's first byte is the MessageKind, the rest is the message.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/codec/codec.h"
#include "base/ids.h"
#include "models/data/architecture.h"
#include "models/data/schema.h"
#include "models/data/training_options.h"

namespace fedmesh::trainer {

inline constexpr std::uint32_t kProtocolVersion = 1;

enum class MessageKind : std::uint8_t { ready = 1, request = 2, response = 3, progress = 4 };
inline bool is_known(MessageKind k) {
  return k >= MessageKind::ready && k <= MessageKind::progress;
}

enum class TaskKind : std::uint8_t {
  describe = 1,
  statistics = 2,
  gradient = 3,
  train = 4,
  evaluate = 5
};
inline bool is_known(TaskKind k) { return k >= TaskKind::describe && k <= TaskKind::evaluate; }
const char* to_string(TaskKind kind);

struct Ready {
  static constexpr MessageKind kKind = MessageKind::ready;
  std::uint32_t protocol = kProtocolVersion;
  std::string engine;                // "LibTorch 1.13.1" or "kernels"
  std::string blas;                  // OpenBLAS's own description; empty where it is not in use
  std::vector<std::string> devices;  // "cpu", "cuda"
  FM_FIELDS(protocol, engine, blas, devices)
};

struct Request {
  static constexpr MessageKind kKind = MessageKind::request;
  std::uint64_t id = 0;  // chosen by the worker, distinct among the tasks under way
  TaskKind kind = TaskKind::describe;
  Bytes body;  // the encoded ...Task that `kind` names
  FM_FIELDS(id, kind, body)
};

struct Response {
  static constexpr MessageKind kKind = MessageKind::response;
  std::uint64_t id = 0;
  bool ok = false;
  std::string error;  // for a person; empty where ok
  Bytes body;         // the encoded ...Result where ok
  FM_FIELDS(id, ok, error, body)
};

// A sign of life; a task without one for longer than its deadline is taken for hung.
struct Progress {
  static constexpr MessageKind kKind = MessageKind::progress;
  std::uint64_t id = 0;
  std::uint64_t done = 0, total = 0;  // in steps or examples; total 0: unknown
  FM_FIELDS(id, done, total)
};

// Where examples come from and how they are prepared: read by `schema`, then standardised, then
// every input is multiplied by input_scale_nano / 10^9.
struct DataView {
  std::string uri;  // local path or generator, see models/data/source.h; empty: `blob`
  models::Schema schema;
  Bytes blob;             // encode_dataset() form, where uri is empty
  Bytes standardisation;  // safetensors of models::Standardisation; empty: none
  std::int64_t input_scale_nano = 1'000'000'000;
  FM_FIELDS(uri, schema, blob, standardisation, input_scale_nano)
};

struct DescribeTask {
  DataView data;
  FM_FIELDS(data)
};
// Private: the histogram stays with the worker.
struct DescribeResult {
  std::uint64_t rows = 0;
  std::uint64_t features = 0;
  Digest schema_hash;
  std::vector<std::uint64_t> label_count;  // per class
  FM_FIELDS(rows, features, schema_hash, label_count)
};

struct StatisticsTask {
  DataView data;  // without standardisation and with scale 1, else refused
  std::uint32_t fraction_bits = 12;
  FM_FIELDS(data, fraction_bits)
};
struct GradientTask {
  DataView data;
  models::Architecture architecture;
  Bytes model;  // safetensors
  std::uint32_t fraction_bits = 12;
  std::int64_t clip_granules = 0;
  FM_FIELDS(data, architecture, model, fraction_bits, clip_granules)
};
// Of both. `values` is the exact input of the noise: private until noise is added.
struct VectorResult {
  Bytes values;                // int32, little-endian
  std::uint64_t examples = 0;  // all records, those that count as zero included
  FM_FIELDS(values, examples)
};

struct TrainTask {
  DataView data;
  models::Architecture architecture;
  Bytes model;  // safetensors
  models::TrainingOptions options;
  std::uint64_t seed = 0;      // of the order of the examples
  std::string device = "cpu";  // cpu, cuda or auto
  FM_FIELDS(data, architecture, model, options, seed, device)
};
struct TrainResult {
  Bytes delta;  // float32, little-endian: new − base in layout order, all finite
  std::uint64_t examples = 0;
  std::int64_t loss_micro = 0;  // as in EvaluateResult; of the last local epoch
  FM_FIELDS(delta, examples, loss_micro)
};

struct EvaluateTask {
  DataView data;
  models::Architecture architecture;
  Bytes model;                 // safetensors
  std::string device = "cpu";  // cpu, cuda or auto
  FM_FIELDS(data, architecture, model, device)
};
struct EvaluateResult {
  std::uint64_t count = 0;
  std::uint64_t correct = 0;
  std::int64_t loss_micro = 0;  // mean; at most kLossMicroMax, which also stands for "not finite"
  std::vector<std::uint64_t> class_count;
  std::vector<std::uint64_t> class_correct;
  FM_FIELDS(count, correct, loss_micro, class_count, class_correct)
};

inline constexpr std::int64_t kLossMicroMax = 1'000'000'000'000'000;
std::int64_t to_loss_micro(double loss);

// What a decoder of these messages accepts: bodies carry whole models and data sets.
codec::Limits task_limits();

template <class T>
Result<T> decode_task(ByteView body) {
  return codec::decode<T>(body, task_limits());
}

Response success(std::uint64_t id, Bytes body);
Response failure(std::uint64_t id, const Error& error);

// Vectors as the little-endian bytes that results carry.
Bytes to_le_bytes(const std::vector<float>& values);
Bytes to_le_bytes(const std::vector<std::int32_t>& values);
Result<std::vector<float>> floats_of(ByteView bytes);         // corruption: not a multiple of 4
Result<std::vector<std::int32_t>> int32s_of(ByteView bytes);  // corruption: not a multiple of 4

}  // namespace fedmesh::trainer
