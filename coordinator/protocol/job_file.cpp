#include "coordinator/protocol/job_file.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/crypto/blob_hash.h"
#include "coordinator/protocol/job_check.h"
#include "coordinator/protocol/job_draft.h"
#include "coordinator/protocol/job_file_keys.h"
#include "models/data/dataset_blob.h"
#include "models/data/source.h"

namespace fedmesh::protocol {
namespace {

// What a person reads; and a bound on the work that a hostile file makes.
constexpr std::size_t kErrorsShown = 100;
constexpr std::size_t kAdviceGiven = 20;

// Edits that turn one text into the other (Levenshtein), for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// "data.columns[3].kind" -> "data.columns[].kind"
std::string table_path(const std::string& path) {
  const std::string open(kColumns.substr(0, kColumns.size() - 1));
  const std::size_t close = path.find(']', open.size());
  if (!path.starts_with(open) || close == std::string::npos) return path;
  return open + path.substr(close);
}

std::string_view last_part(std::string_view path) { return path.substr(path.rfind('.') + 1); }

class Reader {
 public:
  Reader(const TomlDocument& document, const std::string& file_name)
      : document_(document), file_name_(file_name) {}

  Result<JobFile> read() {
    report_unknown_keys();
    for (const Key& key : job_file_keys())
      if (!key.path.starts_with(kColumns)) read_key(key, key.path);
    read_columns();
    JobFile out = assemble();
    if (errors_.empty()) return out;
    return invalid_argument(all_errors());
  }

 private:
  struct Mistake {
    std::uint32_t line;
    std::string text;
  };

  void report(const std::string& path, const std::string& text) {
    const std::uint32_t line = line_of(path);
    errors_.push_back({line, file_name_ + ":" + std::to_string(line) + ": key '" + printable(path) +
                                 "': " + text});
    wrong_.insert(path);
  }

  // Of the key, else of the section that lacks it, else of the file's beginning.
  std::uint32_t line_of(const std::string& path) const {
    if (const TomlEntry* entry = document_.find(path)) return entry->line;
    for (std::string section = path; !section.empty();) {
      if (const auto at = document_.sections.find(section); at != document_.sections.end())
        return std::max(at->second, 1u);
      const std::size_t dot = section.rfind('.');
      section = dot == std::string::npos ? "" : section.substr(0, dot);
    }
    return 1;
  }

  void report_unknown_keys() {
    for (const TomlEntry& entry : document_.entries) {
      const std::string path = table_path(entry.path);
      const auto& keys = job_file_keys();
      if (std::any_of(keys.begin(), keys.end(), [&](const Key& k) { return k.path == path; }))
        continue;
      report(entry.path, errors_.size() < kAdviceGiven ? "unknown key, " + advice(path)
                                                       : std::string("unknown key"));
    }
  }

  static std::string advice(const std::string& path) {
    if (path == "data.columns") return "write one [[data.columns]] section per column";
    const Key* nearest = nullptr;
    std::size_t best = std::string::npos;
    std::string siblings;
    const std::string section = path.substr(0, path.rfind('.') + 1);
    const std::string shortened = path.substr(0, 200);  // the distance costs length squared
    for (const Key& key : job_file_keys()) {
      // A key in another section counts as one edit away.
      const std::size_t here =
          last_part(key.path) == last_part(shortened) ? 1 : distance(key.path, shortened);
      if (here < best) {
        best = here;
        nearest = &key;
      }
      if (key.path.starts_with(section) && path.find('.') != std::string::npos)
        siblings += (siblings.empty() ? "" : ", ") + std::string(last_part(key.path));
    }
    if (best <= 1 + path.size() / 5) return "did you mean '" + nearest->path + "'?";
    return siblings.empty() ? "see coordinator/protocol/JOB_FILE.md" : "allowed: " + siblings;
  }

  void read_key(const Key& key, const std::string& path) {
    if (const TomlEntry* entry = document_.find(path)) {
      if (key.unsupported)
        return report(path, "is not supported by this version; use model.architecture");
      const auto setting = convert(key, entry->value);
      if (!setting.ok()) return report(path, setting.error().detail);
      return key.store(draft_, *setting);
    }
    if (key.required) return report(path, "missing, allowed: " + key.allowed());
    if (key.fallback.empty()) return;
    const auto document = read_toml("value = " + key.fallback, "default");
    FM_CHECK(document.ok(), "a default is TOML");
    const auto setting = convert(key, document->entries.at(0).value);
    FM_CHECK(setting.ok(), "a default is allowed by its own key");
    key.store(draft_, *setting);
  }

  void read_columns() {
    const std::size_t columns = document_.count("data.columns");
    if (columns > kColumnsMax)
      return report("data.columns[" + std::to_string(kColumnsMax) + "]",
                    "got " + std::to_string(columns) + " columns, allowed: at most " +
                        std::to_string(kColumnsMax));
    for (std::size_t i = 0; i < columns; ++i) {
      draft_.columns.emplace_back();
      const std::string element = "data.columns[" + std::to_string(i) + "]";
      for (const Key& key : job_file_keys())
        if (key.path.starts_with(kColumns))
          read_key(key, element + key.path.substr(kColumns.size()));
    }
  }

  JobFile assemble() {
    const GivenKeys given(
        [this](const std::string& path) { return document_.find(path) != nullptr; });
    DraftResult result = assemble_job(std::move(draft_), given, file_name_);
    for (const JobProblem& problem : result.problems)
      if (!follows_from_others(problem)) report_problem(problem);
    return std::move(result.file);
  }

  void report_problem(const JobProblem& problem) {
    if (problem.other.empty()) return report(problem.key, problem.detail);
    const bool given = document_.find(problem.other) != nullptr;
    report(problem.key,
           "contradicts '" + problem.other + "'" +
               (given ? " (line " + std::to_string(line_of(problem.other)) + ")" : " (not given)") +
               ": " + problem.detail);
  }

  // A key that was refused leaves its default behind; what that default breaks is not news.
  bool follows_from_others(const JobProblem& problem) const {
    const auto spoiled = [&](const std::string& key) {
      if (key.empty()) return false;
      if (wrong_.contains(key)) return true;
      const bool of_data = key.starts_with("data") || key.starts_with("model");
      return of_data && std::any_of(wrong_.begin(), wrong_.end(), [](const std::string& w) {
               return w.starts_with("data") || w.starts_with("model");
             });
    };
    return spoiled(problem.key) || spoiled(problem.other);
  }

  std::string all_errors() {
    std::stable_sort(errors_.begin(), errors_.end(),
                     [](const Mistake& a, const Mistake& b) { return a.line < b.line; });
    std::string out;
    for (std::size_t i = 0; i < errors_.size() && i < kErrorsShown; ++i)
      out += (i == 0 ? "" : "\n") + errors_[i].text;
    if (errors_.size() > kErrorsShown)
      out += "\n" + file_name_ + ": and " + std::to_string(errors_.size() - kErrorsShown) + " more";
    return out;
  }

  const TomlDocument& document_;
  const std::string file_name_;
  JobDraft draft_;
  std::vector<Mistake> errors_;
  std::set<std::string> wrong_;  // keys that were reported
};

}  // namespace

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The key that a line assigns to, read as far as a text that is no TOML can be; nullptr: none of
// ours.
const Key* key_at_line(std::string_view text, std::size_t line) {
  std::string section;
  for (std::size_t number = 1; number <= line && !text.empty(); ++number) {
    const std::string_view row = trimmed(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
    if (row.starts_with("[")) {
      const bool array = row.starts_with("[[");
      const auto first = row.find_first_not_of('[');
      if (first == std::string_view::npos) continue;
      section =
          std::string(trimmed(row.substr(first, row.find(']') - first))) + (array ? "[]." : ".");
    } else if (number == line && row.find('=') != std::string_view::npos) {
      const std::string path = section + std::string(trimmed(row.substr(0, row.find('='))));
      for (const Key& key : job_file_keys())
        if (key.path == path) return &key;
    }
  }
  return nullptr;
}

}  // namespace

Result<JobFile> parse_job_file(std::string_view toml_text, const std::string& file_name) {
  std::size_t error_line = 0;
  const auto document = read_toml(toml_text, file_name, &error_line);
  if (!document.ok()) {
    const Key* key = key_at_line(toml_text, error_line);
    if (key == nullptr) return document.error();
    return invalid_argument(document.error().detail + " (key '" + key->path +
                            "', allowed: " + key->allowed() + ")");
  }
  return Reader(*document, file_name).read();
}

Result<Bytes> load_evaluation(JobFile& file) {
  if (!file.evaluation_path) return Bytes{};
  FM_TRY(const auto source, models::DataSource::parse(*file.evaluation_path));
  const auto data = models::load(source, file.spec.schema);
  if (!data.ok()) return data.error().with_context("evaluation.blob");
  Bytes blob = models::encode_dataset(*data);
  file.spec.evaluation.blob_root = crypto::blob_root(blob);
  file.spec.evaluation.blob_bytes = blob.size();
  FM_TRY_VOID(file.spec.validate());
  return blob;
}

}  // namespace fedmesh::protocol
