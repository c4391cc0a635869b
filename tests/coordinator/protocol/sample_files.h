// Job files for tests to break. The line numbers matter: the error tests name them.
#pragma once

#include <string>

namespace fedmesh::protocol {

inline const std::string kClinicsFile = R"(name = "clinics"
[model]
architecture = "logistic"
[data]
preset = "clinics"
[training]
learning_rate = 0.5
average_iterates = true
[federation]
rounds = 10
max_participants = 5
min_updates = 4
[aggregation]
aggregators = 4
[privacy]
unit = "record"
mechanism = "laplace"
clip_l1 = 1.0
epsilon_per_round = 0.09
epsilon_total = 1.0
[preprocessing]
standardise = "private"
epsilon = 0.1
[evaluation]
data = "public"
blob = "clinics-validation:rows=50,seed=9"
)";

inline const std::string kImagesFile = R"(name = "images"
[model]
architecture = "mlp"
hidden = [32, 16]
[data]
format = "images"
height = 8
width = 8
classes = 3
[training]
learning_rate = 0.1
optimizer = "adam"
[federation]
rounds = 2
[privacy]
mechanism = "none"
)";

inline const std::string kTableFile = R"(name = "table"
[model]
architecture = "logistic"
[data]
format = "csv"
label = "sick"
[[data.columns]]
name = "age"
min = 0
max = 120.5
[[data.columns]]
name = "smoker"
kind = "categorical"
levels = ["no", "yes", 2, 2.5]
[training]
learning_rate = 0.1
[federation]
rounds = 2
[privacy]
mechanism = "none"
)";

}  // namespace fedmesh::protocol
