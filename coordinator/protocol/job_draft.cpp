#include "coordinator/protocol/job_draft.h"

#include <filesystem>

#include "coordinator/protocol/messages.h"
#include "models/data/generators.h"
#include "models/data/source.h"

namespace fedmesh::protocol {
namespace {

constexpr std::int64_t kRecordFractionBits = 14;
constexpr std::int64_t kWorkerFractionBits = 20;

// Stands in for the blob that is not loaded yet, so that the other rules can be checked.
void pretend_blob(JobSpec& spec) {
  spec.evaluation.blob_root.bytes[0] = 1;
  spec.evaluation.blob_bytes = 1;
}

class Assembler {
 public:
  Assembler(JobDraft draft, const GivenKeys& given, const std::string& file_name)
      : draft_(std::move(draft)), given_(given), file_name_(file_name) {}

  DraftResult run() {
    schema();
    architecture();
    training();
    aggregation();
    privacy();
    evaluation();
    JobSpec checked = spec();
    if (checked.evaluation.enabled) pretend_blob(checked);
    for (auto& problem : check_job(checked)) {
      // The parts of the data were looked at one by one, with better lines.
      if (problem.key == "data" && !out_.problems.empty()) continue;
      out_.problems.push_back(std::move(problem));
    }
    out_.file.spec = std::move(spec());
    return std::move(out_);
  }

 private:
  JobSpec& spec() { return draft_.spec; }
  void fail(std::string key, std::string detail) {
    out_.problems.push_back({std::move(key), "", std::move(detail)});
  }
  void contradict(std::string key, std::string other, std::string detail) {
    out_.problems.push_back({std::move(key), std::move(other), std::move(detail)});
  }
  // Every key of `keys` that the file gives contradicts `other`.
  void refuse_given(const std::vector<std::string>& keys, const std::string& other,
                    const std::string& detail) {
    for (const auto& key : keys)
      if (given_(key)) contradict(key, other, detail);
  }

  void schema();
  void preset();
  void table();
  void column(std::size_t index);
  void architecture();
  void training();
  void aggregation();
  void privacy();
  void evaluation();

  JobDraft draft_;
  const GivenKeys& given_;
  const std::string& file_name_;
  DraftResult out_;
};

void Assembler::schema() {
  static const std::vector<std::string> kTableKeys{"data.header", "data.drop_missing", "data.label",
                                                   "data.label_threshold"};
  static const std::vector<std::string> kImageKeys{"data.channels", "data.height", "data.width"};
  if (!draft_.preset.empty()) return preset();
  if (spec().schema.format == models::DataFormat::csv) {
    refuse_given(kImageKeys, "data.format", "images have a size, csv has columns");
    return table();
  }
  refuse_given(kTableKeys, "data.format", "it belongs to csv");
  if (!draft_.columns.empty())
    contradict("data.columns[0]", "data.format", "images have no columns");
  if (!given_("data.height")) fail("data.height", "missing, images need it");
  if (!given_("data.width")) fail("data.width", "missing, images need it");
}

void Assembler::preset() {
  refuse_given({"data.format", "data.classes", "data.header", "data.drop_missing", "data.label",
                "data.label_threshold", "data.channels", "data.height", "data.width"},
               "data.preset", "the preset fixes it; remove one of them");
  if (!draft_.columns.empty())
    contradict("data.columns[0]", "data.preset",
               "the preset fixes the columns; remove one of them");
  spec().schema = draft_.preset == "digits" ? models::digits_schema() : models::clinics_schema();
}

void Assembler::table() {
  auto& schema = spec().schema;
  if (!given_("data.label")) {
    fail("data.label", "missing, csv needs the label's column");
  } else if (draft_.label_name.empty()) {
    if (schema.header)
      contradict("data.label", "data.header", "with a header, name the label's column");
    schema.label_position = static_cast<std::uint32_t>(draft_.label_position);
  } else {
    if (!schema.header)
      contradict("data.label", "data.header", "without a header, give the label's position");
    schema.label_name = draft_.label_name;
  }
  if (draft_.columns.empty()) fail("data.columns", "missing, csv needs [[data.columns]] sections");
  for (std::size_t i = 0; i < draft_.columns.size(); ++i) column(i);
}

void Assembler::column(std::size_t index) {
  auto& schema = spec().schema;
  const std::string path = "data.columns[" + std::to_string(index) + "]";
  const ColumnDraft& from = draft_.columns[index];
  models::Column column = from.column;
  const bool has_name = given_(path + ".name");
  if (schema.header) {
    if (!has_name) fail(path + ".name", "missing, the file has a header");
    if (from.position)
      contradict(path + ".position", "data.header", "with a header, columns are found by name");
  } else if (!from.position) {
    fail(path + ".position", "missing, the file has no header");
  }
  column.position = static_cast<std::uint32_t>(from.position.value_or(0));
  // Alone, so that what is wrong with this column gets this column's line.
  models::Schema alone;
  alone.header = schema.header;
  alone.label_name = schema.label_name;
  alone.label_position = schema.label_position;
  alone.columns = {column};
  if (const auto status = alone.validate(); !status.ok()) fail(path, status.error().detail);
  schema.columns.push_back(std::move(column));
}

void Assembler::architecture() {
  auto& architecture = spec().architecture;
  const auto& schema = spec().schema;
  architecture.hidden = draft_.hidden;
  architecture.classes = schema.classes;
  if (schema.format == models::DataFormat::images) {
    architecture.input_shape = {schema.channels, schema.height, schema.width};
  } else {
    architecture.input_shape = {static_cast<std::int64_t>(schema.features())};
  }
  const bool mlp = architecture.kind == models::ArchitectureKind::mlp;
  if (mlp && draft_.hidden.empty())
    contradict("model.hidden", "model.architecture", "an mlp has 1 to 8 hidden layers; give sizes");
  if (!mlp) refuse_given({"model.hidden"}, "model.architecture", "hidden sizes belong to an mlp");
}

void Assembler::training() {
  if (spec().privacy.unit != PrivacyUnit::record) return;
  // Other keys of local training are refused by their values; this one even at its default, because
  // whoever writes it expects batches.
  if (spec().training.options.batch_size == models::TrainingOptions{}.batch_size)
    refuse_given({"training.batch_size"}, "privacy.unit",
                 "unit record takes one full-batch gradient step per round; remove it");
}

void Assembler::aggregation() {
  auto& aggregation = spec().aggregation;
  if (aggregation.weight == WeightMode::examples && !given_("aggregation.weight_cap"))
    contradict("aggregation.weight_cap", "aggregation.weight", "weight = \"examples\" needs a cap");
}

// The clip is rounded down to whole granules: the bound that holds is never above the one written.
void Assembler::privacy() {
  auto& privacy = spec().privacy;
  const bool record = privacy.unit == PrivacyUnit::record;
  privacy.fraction_bits = static_cast<std::uint32_t>(
      draft_.fraction_bits.value_or(record ? kRecordFractionBits : kWorkerFractionBits));
  const __int128 granules = (static_cast<__int128>(draft_.clip_nano) << privacy.fraction_bits) /
                            static_cast<__int128>(kNano);  // at most 2^80: no overflow
  if (draft_.clip_nano > 0 && granules == 0)
    return contradict("privacy.clip_l1", "privacy.fraction_bits",
                      "the clip is below one granule; use more fraction_bits");
  privacy.clip_granules = granules > kClipMax ? kClipMax + 1 : static_cast<std::int64_t>(granules);
}

void Assembler::evaluation() {
  if (!spec().evaluation.enabled) {
    spec().federation.evaluation_ms =
        given_("federation.evaluation_deadline") ? spec().federation.evaluation_ms : 0;
    return refuse_given({"evaluation.blob"}, "evaluation.data",
                        "no data set is used; set data = \"public\"");
  }
  if (!given_("evaluation.blob"))
    return contradict("evaluation.blob", "evaluation.data",
                      "data = \"public\" needs a file or a generator");
  if (draft_.blob.empty()) return;  // refused already
  const auto source = models::DataSource::parse(draft_.blob);
  if (!source.ok()) return fail("evaluation.blob", source.error().detail);
  std::string uri = draft_.blob;
  const std::filesystem::path folder = std::filesystem::path(file_name_).parent_path();
  if (!source->paths.empty() && !folder.empty()) {
    // The source's options stay behind the last path; a second path stands after the comma.
    const std::size_t comma = source->paths.size() == 2 ? uri.find(',') : std::string::npos;
    if (comma != std::string::npos && source->paths[1].front() != '/')
      uri.insert(comma + 1, folder.string() + "/");
    if (source->paths[0].front() != '/') uri.insert(0, folder.string() + "/");
  }
  out_.file.evaluation_path = std::move(uri);
}

}  // namespace

DraftResult assemble_job(JobDraft draft, const GivenKeys& given, const std::string& file_name) {
  return Assembler(std::move(draft), given, file_name).run();
}

}  // namespace fedmesh::protocol
