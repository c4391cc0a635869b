// Data made up from a seed, so that demo, tests and measurements need no download. Pure functions:
// equal parameters give equal bits on every machine. Two tasks:
//  - clinics: patients of several clinics with different populations; a rare kind of data set in
//    that the best possible accuracy is known.
//  - digits: 28x28 images of ten digits drawn from strokes, hard for a linear model.
#pragma once

#include <cstdint>
#include <string>

#include "models/data/dataset.h"
#include "models/data/schema.h"

namespace fedmesh::models {

// A generated table as CSV text (header, missing values empty, label 0 or 1 in column "disease").
struct GeneratedTable {
  std::string csv;
  std::size_t rows = 0;
  double positive_share = 0;  // of the labels
  // Expected accuracy of the best classifier that sees each row as it is written (missing values
  // integrated out, 4 % of the labels flipped): nobody can do better but by luck.
  double bayes_accuracy = 0;
};

inline constexpr std::uint32_t kClinicsMax = 10'000;
inline constexpr std::uint64_t kGeneratedRowsMax = 1'000'000;

// Nine columns, eleven inputs after one-hot encoding; bounds are public and centred on the national
// population, missing values are imputed.
Schema clinics_schema();
// silo < silos <= kClinicsMax (checked). About 600 to 1,600 patients; silos differ in size, age,
// smoking and exercise, and hence in prevalence, but not in how risk depends on the inputs.
GeneratedTable clinics_table(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos);
// Patients of the whole country, of no clinic: public validation data. 1 <= rows <=
// kGeneratedRowsMax (checked).
GeneratedTable clinics_validation_table(std::uint64_t seed, std::uint64_t rows);

// The tables' text read by clinics_schema().
std::string clinics_csv(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos);
Dataset clinics_silo(std::uint64_t seed, std::uint32_t silo, std::uint32_t silos);
Dataset clinics_validation(std::uint64_t seed, std::uint64_t rows);

Schema digits_schema();
// Rows first .. first + rows - 1 of the endless sequence `seed`; each row depends on (seed, row)
// alone, so slices of one seed are disjoint parts of one population. first + rows <=
// kGeneratedRowsMax (checked).
Dataset digits(std::uint64_t seed, std::uint64_t rows, std::uint64_t first = 0);

}  // namespace fedmesh::models
