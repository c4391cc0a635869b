#include "models/data/source.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/data/csv.h"
#include "models/data/generators.h"
#include "models/data/text.h"

namespace fedmesh::models {
namespace {

using Kind = DataSource::Kind;

struct Parameter {
  std::string name;
  std::uint64_t minimum = 0;
  std::uint64_t maximum = UINT64_MAX;
  std::optional<std::uint64_t> fallback;  // none: must be given
};

struct Generator {
  std::string name;
  Kind kind;
  std::vector<Parameter> parameters;
};

const std::vector<Generator>& generators() {
  static const std::vector<Generator> kGenerators{
      {"clinics",
       Kind::clinics,
       {{"silo", 0, kClinicsMax - 1, {}},
        {"silos", 1, kClinicsMax, {}},
        {"seed", 0, UINT64_MAX, 1}}},
      {"clinics-validation",
       Kind::clinics_validation,
       {{"rows", 1, kGeneratedRowsMax, {}}, {"seed", 0, UINT64_MAX, 1}}},
      {"digits",
       Kind::digits,
       {{"rows", 1, kGeneratedRowsMax, {}},
        {"seed", 0, UINT64_MAX, 1},
        {"part", 0, kGeneratedRowsMax, 0},
        {"parts", 1, kGeneratedRowsMax, 1}}},
  };
  return kGenerators;
}

std::string names_of(const std::vector<Parameter>& parameters) {
  std::string out;
  for (const auto& p : parameters)
    out += (out.empty() ? "" : ", ") + p.name + (p.fallback ? " (optional)" : "");
  return out;
}

Result<Split> parse_split(std::string_view text) {
  const auto parts = split_at(text, ':');
  const auto usage = [&] {
    return invalid_argument("split " + shown(text) +
                            ": write ?split=train:0.66:SEED or ?split=test:0.66:SEED, with a "
                            "fraction between 0 and 1 and a whole seed");
  };
  if (parts.size() != 3 || (parts[0] != "train" && parts[0] != "test")) return usage();
  const auto fraction = parse_number(parts[1]);
  const auto seed = parse_u64(parts[2]);
  if (!fraction || *fraction <= 0 || *fraction >= 1 || !seed) return usage();
  Split out;
  out.fraction_micro = static_cast<std::uint32_t>(std::floor(*fraction * 1e6 + 0.5));
  out.seed = *seed;
  out.which = parts[0] == "train" ? Split::Which::train : Split::Which::test;
  return out;
}

constexpr std::uint64_t kSilosMax = 1'000'000;

Result<SiloChoice> parse_partition(std::string_view text) {
  const auto usage = [&] {
    return invalid_argument("partition " + shown(text) +
                            ": write ?partition=iid:SILOS:SILO:SEED, dirichlet:ALPHA:SILOS:SILO:"
                            "SEED (alpha 0.001 to 1000) or shards:PER_SILO:SILOS:SILO:SEED; silos "
                            "are 1 to " +
                            std::to_string(kSilosMax) + ", a silo counts from 0");
  };
  auto parts = split_at(text, ':');
  SiloChoice out;
  if (parts.size() == 5 && parts[0] == "dirichlet") {
    const auto alpha = parse_number(parts[1]);
    if (!alpha || !(*alpha >= kAlphaMin && *alpha <= kAlphaMax)) return usage();
    out.rule.kind = PartitionRule::Kind::dirichlet;
    out.rule.alpha = *alpha;
  } else if (parts.size() == 5 && parts[0] == "shards") {
    const auto shards = parse_u64(parts[1]);
    if (!shards || *shards < 1 || *shards > kSilosMax) return usage();
    out.rule.kind = PartitionRule::Kind::shards;
    out.rule.shards_per_silo = static_cast<std::uint32_t>(*shards);
  } else if (parts.size() != 4 || parts[0] != "iid") {
    return usage();
  }
  const auto silos = parse_u64(parts[parts.size() - 3]);
  const auto silo = parse_u64(parts[parts.size() - 2]);
  const auto seed = parse_u64(parts[parts.size() - 1]);
  if (!silos || *silos < 1 || *silos > kSilosMax || !silo || *silo >= *silos || !seed)
    return usage();
  out.rule.silos = static_cast<std::uint32_t>(*silos);
  out.rule.seed = *seed;
  out.silo = static_cast<std::uint32_t>(*silo);
  return out;
}

// What stands behind the question mark.
Result<void> parse_options(std::string_view text, DataSource& out) {
  static constexpr std::string_view kSplit = "split=";
  static constexpr std::string_view kPartition = "partition=";
  for (const std::string_view option : split_at(text, '&')) {
    if (option.starts_with(kSplit)) {
      if (out.split.which != Split::Which::all) return invalid_argument("split is given twice");
      FM_TRY(out.split, parse_split(option.substr(kSplit.size())));
    } else if (option.starts_with(kPartition)) {
      if (out.partition) return invalid_argument("partition is given twice");
      FM_TRY(out.partition, parse_partition(option.substr(kPartition.size())));
    } else {
      return invalid_argument("unknown option " + shown(option) +
                              "; allowed are ?split=train:0.66:SEED and "
                              "?partition=dirichlet:0.5:SILOS:SILO:SEED, joined by &");
    }
  }
  return {};
}

Result<void> parse_parameters(const Generator& generator, std::string_view text, DataSource& out) {
  const auto fail = [&](const std::string& what) {
    return invalid_argument(generator.name + ": " + what + "; allowed keys are " +
                            names_of(generator.parameters));
  };
  for (const std::string_view item : split_at(text, ',')) {
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) return fail("write key=value, not " + shown(item));
    const std::string_view key = item.substr(0, equals);
    const auto known = std::find_if(generator.parameters.begin(), generator.parameters.end(),
                                    [&](const Parameter& p) { return p.name == key; });
    if (known == generator.parameters.end()) return fail("unknown key " + shown(key));
    const auto value = parse_u64(item.substr(equals + 1));
    if (!value || *value < known->minimum || *value > known->maximum)
      return fail(known->name + " must be a whole number from " + std::to_string(known->minimum) +
                  " to " + std::to_string(known->maximum));
    if (!out.parameters.emplace(known->name, *value).second)
      return fail(known->name + " is given twice");
  }
  for (const Parameter& p : generator.parameters) {
    if (!out.parameters.contains(p.name) && !p.fallback) return fail(p.name + " is missing");
    if (p.fallback) out.parameters.emplace(p.name, *p.fallback);
  }
  auto& values = out.parameters;
  if (generator.kind == Kind::clinics && values["silo"] >= values["silos"])
    return fail("silo counts from 0 and is below silos");
  if (generator.kind == Kind::digits && values["part"] >= values["parts"])
    return fail("part counts from 0 and is below parts");
  if (generator.kind == Kind::digits && values["parts"] > values["rows"])
    return fail("rows are shared out among parts, so there are at least as many");
  return {};
}

// Takes "#first-last" off the end of a file's name.
Result<void> parse_range(std::string_view& text, DataSource& out) {
  const std::size_t hash = text.rfind('#');
  if (hash == std::string_view::npos) return {};
  const auto ends = split_at(text.substr(hash + 1), '-');
  const auto first = parse_u64(ends[0]);
  const auto last = ends.size() == 2 ? parse_u64(ends[1]) : std::nullopt;
  if (!first || !last || *first > *last)
    return invalid_argument("rows " + shown(text.substr(hash)) +
                            ": write #first-last, such as #0-7999");
  out.range = RowRange{*first, *last};
  text = text.substr(0, hash);
  return {};
}

Result<void> parse_files(std::string_view text, DataSource& out) {
  FM_TRY_VOID(parse_range(text, out));
  for (const std::string_view path : split_at(text, ',')) out.paths.emplace_back(path);
  if (out.paths.size() > 2)
    return invalid_argument(
        "give one CSV file, or an IDX pair as images,labels; a path has no "
        "comma");
  for (const auto& path : out.paths)
    if (path.empty() || path.find('\0') != std::string::npos)
      return invalid_argument("a data path is empty");
  out.kind = out.paths.size() == 2 ? Kind::idx : Kind::csv;
  return {};
}

// "digit:rows=10" is a misspelt generator rather than a file.
bool looks_like_generator(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon != std::string_view::npos && text.find('/') == std::string_view::npos &&
         text.find('=', colon) != std::string_view::npos;
}

Dataset digits_part(const std::map<std::string, std::uint64_t>& p) {
  const std::uint64_t rows = p.at("rows"), parts = p.at("parts"), part = p.at("part");
  const std::uint64_t first = rows * part / parts;  // both are at most 10^6
  const std::uint64_t end = rows * (part + 1) / parts;
  return digits(p.at("seed"), end - first, first);
}

Result<Dataset> load_csv(const DataSource& source, const Schema& schema) {
  FM_TRY(Dataset data, read_csv(source.paths[0], schema));
  if (!source.range) return data;
  if (source.range->last >= data.rows())
    return invalid_argument(source.uri + ": it has rows 0-" + std::to_string(data.rows() - 1));
  std::vector<std::size_t> rows(source.range->last - source.range->first + 1);
  std::iota(rows.begin(), rows.end(), source.range->first);
  return data.subset(rows);
}

Result<Dataset> load_all(const DataSource& source, const Schema& schema) {
  const auto& p = source.parameters;
  switch (source.kind) {
    case Kind::csv:
      return load_csv(source, schema);
    case Kind::idx:
      return read_idx(source.paths[0], source.paths[1], schema, source.range);
    case Kind::clinics:
      return parse_csv(clinics_csv(p.at("seed"), static_cast<std::uint32_t>(p.at("silo")),
                                   static_cast<std::uint32_t>(p.at("silos"))),
                       source.uri, schema);
    case Kind::clinics_validation:
      return parse_csv(clinics_validation_table(p.at("seed"), p.at("rows")).csv, source.uri,
                       schema);
    case Kind::digits:
      if (schema != digits_schema())
        return invalid_argument(source.uri +
                                ": digits are images of 1 x 28 x 28 in 10 classes, the schema "
                                "says otherwise");
      return digits_part(p);
  }
  FM_CHECK(false, "a data source has an unknown kind");
}

}  // namespace

Result<DataSource> DataSource::parse(std::string_view uri) {
  DataSource out;
  out.uri = std::string(uri);
  std::string_view rest = uri;
  if (const std::size_t mark = rest.rfind('?'); mark != std::string_view::npos) {
    FM_TRY_VOID(parse_options(rest.substr(mark + 1), out));
    rest = rest.substr(0, mark);
  }
  if (rest.empty()) return invalid_argument("a data source is empty; give a file or a generator");
  for (const Generator& generator : generators()) {
    if (!rest.starts_with(generator.name + ":")) continue;
    out.kind = generator.kind;
    FM_TRY_VOID(parse_parameters(generator, rest.substr(generator.name.size() + 1), out));
    return out;
  }
  if (looks_like_generator(rest))
    return invalid_argument("unknown generator in " + shown(rest) +
                            "; known are clinics, clinics-validation, digits (a file of that name "
                            "is written with ./ before it)");
  FM_TRY_VOID(parse_files(rest, out));
  return out;
}

Result<Dataset> load(const DataSource& source, const Schema& schema) {
  FM_TRY_VOID(schema.validate());
  FM_TRY(const Dataset data, load_all(source, schema));
  auto part = split(data, source.split);
  if (!part.ok()) return part.error().with_context(source.uri);
  if (!source.partition) return part;
  const auto silos = partition(*part, source.partition->rule);
  if (!silos.ok()) return silos.error().with_context(source.uri);
  return part->subset((*silos)[source.partition->silo]);
}

}  // namespace fedmesh::models
