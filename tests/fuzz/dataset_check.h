// What every loader promises of the data set it gives.
#pragma once

#include <cmath>

#include "base/check.h"
#include "models/data/dataset.h"

namespace fedmesh::fuzz {

inline void check_dataset(const models::Dataset& data) {
  FM_CHECK(data.rows() > 0 && data.inputs.size() == data.rows() * data.features,
           "a data set is not consistent");
  for (const float value : data.inputs) FM_CHECK(std::isfinite(value), "an input is not finite");
  for (const std::int32_t label : data.labels)
    FM_CHECK(label >= 0 && static_cast<std::uint32_t>(label) < data.classes,
             "a label is outside the classes");
}

}  // namespace fedmesh::fuzz
