#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "base/check.h"
#include "base/random.h"
#include "models/data/csv.h"
#include "models/data/generators.h"
#include "models/data/portable_math.h"

namespace fedmesh::models {
namespace {

constexpr double kLabelNoise = 0.04;          // share of labels that are flipped
constexpr double kMissing = 0.02;             // of every value but age and sex
constexpr int kImputations = 64;              // draws per row that integrate missing values out
constexpr std::uint64_t kCountry = 1u << 20;  // fork label beyond every silo's

enum : std::size_t { kPressure, kCholesterol, kBmi, kGlucose, kSmoker, kActivity, kFamily, kFacts };

// Everything but age and sex, which are always recorded. Given age and sex (and the clinic) the
// facts are independent of each other, so a missing one can be integrated out by drawing it again.
struct Patient {
  int age = 0;
  bool male = false;
  std::array<int, kFacts> facts{};  // bmi in tenths; categories as level numbers
  std::array<bool, kFacts> missing{};
};

// What makes one clinic's patients differ from another's.
struct Population {
  double mean_age = 55;
  double smoking = 0.2;   // share who smoke now; as many used to
  double activity = 0.3;  // share with high activity
};

Population population_at(double place) {  // 0: young and sporty, 1: old
  return {44 + 22 * place, 0.14 + 0.14 * place, 0.42 - 0.24 * place};
}

int clamp_round(double value, int low, int high) {
  return std::clamp(static_cast<int>(std::floor(value + 0.5)), low, high);
}

int draw_fact(std::size_t fact, const Patient& p, const Population& population,
              SeededRandom& random) {
  const double age = p.age;
  switch (fact) {
    case kPressure:
      return clamp_round(135 + 0.45 * (age - 55) + 16 * portable::normal(random), 80, 190);
    case kCholesterol:
      return clamp_round(210 + 0.5 * (age - 55) + 38 * portable::normal(random), 100, 320);
    case kBmi:
      return clamp_round(278 + (p.male ? 6 : -6) + 44 * portable::normal(random), 140, 420);
    case kGlucose:
      return clamp_round(106 + 0.3 * (age - 55) + 20 * portable::normal(random), 50, 170);
    case kSmoker: {
      const double u = random.uniform();
      return u < population.smoking ? 2 : u < 2 * population.smoking ? 1 : 0;
    }
    case kActivity: {
      const double u = random.uniform();
      return u < population.activity ? 2 : u < population.activity + 0.4 ? 1 : 0;
    }
    default:
      return random.uniform() < 0.3 ? 1 : 0;
  }
}

// The true risk, linear in the model's inputs: a logistic regression can express it exactly.
double risk(const Patient& p) {
  static constexpr std::array<double, 3> kSmoking{0, 1.2, 3.4};
  static constexpr std::array<double, 3> kExercise{0, -1.2, -3.0};
  const auto& f = p.facts;
  const double logit =
      3.6 * (p.age - 55) / 15.0 + (p.male ? 2.0 : 0.0) + 2.4 * (f[kPressure] - 135) / 20.0 +
      2.2 * (f[kCholesterol] - 210) / 40.0 + 1.6 * (f[kBmi] - 278) / 45.0 +
      2.4 * (f[kGlucose] - 106) / 22.0 + kSmoking[static_cast<std::size_t>(f[kSmoker])] +
      kExercise[static_cast<std::size_t>(f[kActivity])] + (f[kFamily] != 0 ? 2.4 : 0.0) - 1.4;
  return portable::sigmoid(logit);
}

double with_label_noise(double probability) {
  return probability * (1 - kLabelNoise) + (1 - probability) * kLabelNoise;
}

// Risk as seen by somebody who does not know the missing values.
double visible_risk(const Patient& p, const Population& population, SeededRandom random) {
  if (std::none_of(p.missing.begin(), p.missing.end(), [](bool m) { return m; })) return risk(p);
  double sum = 0;
  Patient guess = p;
  for (int i = 0; i < kImputations; ++i) {
    for (std::size_t fact = 0; fact < kFacts; ++fact)
      if (p.missing[fact]) guess.facts[fact] = draw_fact(fact, p, population, random);
    sum += risk(guess);
  }
  return sum / kImputations;
}

Patient draw_patient(const Population& population, SeededRandom& random) {
  Patient p;
  p.age = clamp_round(population.mean_age + 14 * portable::normal(random), 20, 90);
  p.male = random.uniform() < 0.5;
  for (std::size_t fact = 0; fact < kFacts; ++fact) {
    p.facts[fact] = draw_fact(fact, p, population, random);
    p.missing[fact] = random.uniform() < kMissing;
  }
  return p;
}

constexpr std::array<const char*, 3> kSmokerLevels{"never", "former", "current"};
constexpr std::array<const char*, 3> kActivityLevels{"low", "moderate", "high"};
constexpr std::array<const char*, 2> kFamilyLevels{"no", "yes"};
constexpr std::array<const char*, 2> kSexLevels{"female", "male"};

std::string to_text(const Patient& p, std::size_t fact) {
  if (p.missing[fact]) return "";
  const int value = p.facts[fact];
  switch (fact) {
    case kBmi:
      return std::to_string(value / 10) + "." + std::to_string(value % 10);
    case kSmoker:
      return kSmokerLevels[static_cast<std::size_t>(value)];
    case kActivity:
      return kActivityLevels[static_cast<std::size_t>(value)];
    case kFamily:
      return kFamilyLevels[static_cast<std::size_t>(value)];
    default:
      return std::to_string(value);
  }
}

class TableWriter {
 public:
  TableWriter() {
    table_.csv =
        "age,sex,systolic_pressure,cholesterol,bmi,glucose,smoker,activity,family_history,"
        "disease\n";
  }

  void add(const Population& population, SeededRandom& random) {
    const Patient p = draw_patient(population, random);
    const bool sick = random.uniform() < with_label_noise(risk(p));
    // A fork: how a row's missing values are guessed does not move the rows after it.
    const double seen = with_label_noise(visible_risk(p, population, random.fork(table_.rows)));
    table_.csv += std::to_string(p.age) + "," + kSexLevels[p.male ? 1 : 0];
    for (std::size_t fact = 0; fact < kFacts; ++fact) table_.csv += "," + to_text(p, fact);
    table_.csv += sick ? ",1\n" : ",0\n";
    ++table_.rows;
    positives_ += sick ? 1 : 0;
    best_ += std::max(seen, 1 - seen);
  }

  GeneratedTable finish() {
    const auto rows = static_cast<double>(table_.rows);
    table_.positive_share = static_cast<double>(positives_) / rows;
    table_.bayes_accuracy = best_ / rows;
    return std::move(table_);
  }

 private:
  GeneratedTable table_;
  std::size_t positives_ = 0;
  double best_ = 0;
};

// i of n evenly on [0, 1].
double spread(std::uint32_t i, std::uint32_t n) { return n == 1 ? 0.5 : double(i) / (n - 1); }

// Which population a silo has: shuffled, so that size and age do not go together.
double place_of(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos) {
  std::vector<std::uint32_t> order(silos);
  std::iota(order.begin(), order.end(), 0u);
  SeededRandom random = SeededRandom(seed).fork(kCountry + 1);
  for (std::uint32_t i = silos; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return spread(order[silo], silos);
}

Dataset read(const std::string& csv) {
  auto data = parse_csv(csv, "clinics", clinics_schema());
  FM_CHECK(data.ok(), "the generated table does not fit its own schema");
  return std::move(data).value();
}

Column numeric(std::string name, std::uint32_t position, std::int64_t low, std::int64_t high) {
  return {std::move(name), position, ColumnKind::numeric, low * 1'000'000, high * 1'000'000, {}};
}

template <std::size_t N>
Column categorical(std::string name, std::uint32_t position,
                   const std::array<const char*, N>& levels) {
  return {std::move(name), position, ColumnKind::categorical, 0, 0, {levels.begin(), levels.end()}};
}

}  // namespace

Schema clinics_schema() {
  Schema schema;
  schema.columns = {numeric("age", 0, 20, 90),
                    categorical("sex", 1, kSexLevels),
                    numeric("systolic_pressure", 2, 80, 190),
                    numeric("cholesterol", 3, 100, 320),
                    numeric("bmi", 4, 14, 42),
                    numeric("glucose", 5, 50, 170),
                    categorical("smoker", 6, kSmokerLevels),
                    categorical("activity", 7, kActivityLevels),
                    categorical("family_history", 8, kFamilyLevels)};
  schema.label_name = "disease";
  schema.label_position = 9;
  return schema;
}

GeneratedTable clinics_table(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos) {
  FM_CHECK(silo < silos && silos <= kClinicsMax, "there is no such clinic");
  const Population population = population_at(place_of(seed, silo, silos));
  SeededRandom random = SeededRandom(seed).fork(silo);
  const double size = spread(silo, silos);
  const std::size_t rows = 580 + static_cast<std::size_t>(980 * size * std::sqrt(size)) +
                           static_cast<std::size_t>(random.below(41));
  TableWriter writer;
  for (std::size_t i = 0; i < rows; ++i) writer.add(population, random);
  return writer.finish();
}

GeneratedTable clinics_validation_table(std::uint64_t seed, std::uint64_t rows) {
  FM_CHECK(rows >= 1 && rows <= kGeneratedRowsMax, "a sample has 1 to 1,000,000 rows");
  SeededRandom random = SeededRandom(seed).fork(kCountry);
  TableWriter writer;
  for (std::uint64_t i = 0; i < rows; ++i) writer.add(population_at(random.uniform()), random);
  return writer.finish();
}

std::string clinics_csv(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos) {
  return clinics_table(seed, silo, silos).csv;
}

Dataset clinics_silo(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos) {
  return read(clinics_csv(seed, silo, silos));
}

Dataset clinics_validation(std::uint64_t seed, std::uint64_t rows) {
  return read(clinics_validation_table(seed, rows).csv);
}

}  // namespace fedmesh::models
