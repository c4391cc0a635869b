// One mistake per row: the message names file, line and key, and says what is allowed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/protocol/job_file.h"
#include "sample_files.h"

namespace fedmesh::protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Mistake {
  const std::string* file;
  const char* from;  // replaced in the file; "": `to` is added at its end
  const char* to;
  const char* message;  // of the only error, from its beginning on
};

std::string with(const Mistake& mistake) {
  std::string text = *mistake.file;
  const std::string from = mistake.from;
  if (from.empty()) return text + mistake.to;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), mistake.to);
}

const std::string* const kC = &kClinicsFile;
const std::string* const kI = &kImagesFile;
const std::string* const kT = &kTableFile;

std::vector<Mistake> single_key_mistakes() {
  return {
      {kC, "unit = \"record\"", "unit = \"foo\"",
       "job.toml:16: key 'privacy.unit': got \"foo\", allowed: worker, record"},
      {kC, "rounds = 10", "rounds = \"ten\"",
       "job.toml:10: key 'federation.rounds': got \"ten\", allowed: an integer, 1 to 100000"},
      {kC, "rounds = 10", "rounds = 0",
       "job.toml:10: key 'federation.rounds': got 0, allowed: an integer, 1 to 100000"},
      {kC, "rounds = 10", "rounds = 1.5",
       "job.toml:10: key 'federation.rounds': got 1.5, allowed: an integer, 1 to 100000"},
      {kC, "learning_rate = 0.5", "learning_rate = 0.12345678901",
       "job.toml:7: key 'training.learning_rate': got 0.12345678901, allowed: a number with at "
       "most 9 decimals, 0.000000001 to 1000"},
      {kC, "learning_rate = 0.5", "learning_rate = nan",
       "job.toml:7: key 'training.learning_rate': got nan"},
      {kC, "learning_rate = 0.5", "learning_rate = true",
       "job.toml:7: key 'training.learning_rate': got true"},
      {kC, "average_iterates = true", "average_iterates = 1",
       "job.toml:8: key 'training.average_iterates': got 1, allowed: true, false"},
      {kC, "aggregators = 4", "aggregators = 1979-05-27",
       "job.toml:14: key 'aggregation.aggregators': got a table or a date"},
      {kC, "name = \"clinics\"", "name = \"\"",
       "job.toml:1: key 'name': got \"\", allowed: a text of 1 to"},
      {kC, "name = \"clinics\"", "name = \"\\u00e9\"",
       "job.toml:1: key 'name': allowed: 1 to 100 printable ASCII characters"},
      {kI, "hidden = [32, 16]", "hidden = [32, 0]",
       "job.toml:4: key 'model.hidden': got [32, 0], allowed: a list of integers, each 1 to"},
      {kI, "rounds = 2", "rounds = 2\ncommit_deadline = \"60 s\"",
       "job.toml:15: key 'federation.commit_deadline': got \"60 s\", allowed: a text like"},
      {kI, "rounds = 2", "rounds = 2\ncommit_deadline = \"50ms\"",
       "job.toml:15: key 'federation.commit_deadline': got \"50ms\", allowed: a text like "
       "\"500ms\", \"60s\", \"2m\", \"1h\" or \"1d\", 100ms to 7d"},
      {kI, "rounds = 2", "rounds = 2\ncommit_deadline = 60",
       "job.toml:15: key 'federation.commit_deadline': got 60"},
      {kI, "rounds = 2", "rounds = 2\ncommit_deadline = \"9223372036854775807d\"",
       "job.toml:15: key 'federation.commit_deadline': got \"9223372036854775807d\""},
      {kI, "rounds = 2", "rounds = 2\ntarget_accuracy = 1.1",
       "job.toml:15: key 'federation.target_accuracy': got 1.1"},
      {kT, "levels = [\"no\", \"yes\", 2, 2.5]", "levels = [[1], 2]",
       "job.toml:14: key 'data.columns[1].levels': got [[1], 2], allowed: a list of texts"},
      {kT, "kind = \"categorical\"", "kind = \"text\"",
       "job.toml:13: key 'data.columns[1].kind': got \"text\", allowed: numeric, categorical"},
  };
}

std::vector<Mistake> unknown_and_missing_keys() {
  return {
      {kC, "epsilon_per_round", "epsilon_pr_round",
       "job.toml:19: key 'privacy.epsilon_pr_round': unknown key, did you mean "
       "'privacy.epsilon_per_round'?"},
      {kI, "rounds = 2", "rounds = 2\nmomentum = 0.9",
       "job.toml:15: key 'federation.momentum': unknown key, did you mean 'training.momentum'?"},
      {kI, "rounds = 2", "rounds = 2\nzzzzzzzzzzzzzzzz = 1",
       "job.toml:15: key 'federation.zzzzzzzzzzzzzzzz': unknown key, allowed: rounds, "},
      {kI, "", "[qqqqqqqqqqqq]\nwwwwwwwwww = 1\n",
       "job.toml:18: key 'qqqqqqqqqqqq.wwwwwwwwww': unknown key, see"},
      {kT, "max = 120.5", "max = 120.5\nmean = 4",
       "job.toml:11: key 'data.columns[0].mean': unknown key, did you mean"},
      {kI, "name = \"images\"", "", "job.toml:1: key 'name': missing, allowed: a text"},
      {kI, "mechanism = \"none\"", "",
       "job.toml:15: key 'privacy.mechanism': missing, allowed: none, laplace"},
      {kI, "learning_rate = 0.1", "",
       "job.toml:10: key 'training.learning_rate': missing, allowed: a number"},
      {kT, "label = \"sick\"", "", "job.toml:4: key 'data.label': missing"},
      {kI, "height = 8", "", "job.toml:5: key 'data.height': missing, images need it"},
      {kT, "name = \"age\"", "",
       "job.toml:7: key 'data.columns[0].name': missing, the file has a header"},
  };
}

std::vector<Mistake> contradictions() {
  return {
      {kC, "aggregators = 4", "aggregators = 4\nweight = \"examples\"\nweight_cap = 10",
       "job.toml:15: key 'aggregation.weight': contradicts 'privacy.mechanism' (line 19): with "
       "privacy on, weights are uniform"},
      {kC, "aggregators = 4", "aggregators = 5",
       "job.toml:14: key 'aggregation.aggregators': got 5, allowed: 1, 4, 7"},
      {kC, "architecture = \"logistic\"", "architecture = \"mlp\"\nhidden = [4]",
       "job.toml:17: key 'privacy.unit': contradicts 'model.architecture' (line 3): unit record "
       "needs the fixed-order kernel"},
      {kC, "learning_rate = 0.5", "learning_rate = 0.5\nbatch_size = 32",
       "job.toml:8: key 'training.batch_size': contradicts 'privacy.unit' (line 17): unit record "
       "takes one full-batch gradient step"},
      {kC, "learning_rate = 0.5", "learning_rate = 0.5\nlocal_epochs = 3",
       "job.toml:8: key 'training.local_epochs': contradicts 'privacy.unit' (line 17)"},
      {kC, "rounds = 10", "rounds = 11",
       "job.toml:10: key 'federation.rounds': contradicts 'privacy.epsilon_total' (line 20): 11 "
       "rounds at 0.09 and 0.1 for preprocessing cost 1.09 of 1; 10 rounds fit"},
      {kC, "epsilon_total = 1.0", "epsilon_total = 0.1",
       "job.toml:20: key 'privacy.epsilon_total': contradicts 'privacy.epsilon_per_round' (line "
       "19): the total of 0.1 does not cover"},
      {kC, "min_updates = 4", "min_updates = 6",
       "job.toml:12: key 'federation.min_updates': contradicts 'federation.max_participants' "
       "(line 11)"},
      {kC, "clip_l1 = 1.0", "clip_l1 = 0.1",
       "job.toml:18: key 'privacy.clip_l1': contradicts 'privacy.fraction_bits' (not given): got "
       "1638 granules of 2^-14 a record, allowed: 4096 to 65536"},
      {kC, "clip_l1 = 1.0", "clip_l1 = 0.000000001",
       "job.toml:18: key 'privacy.clip_l1': contradicts 'privacy.fraction_bits' (not given): the "
       "clip is below one granule"},
      {kC, "clip_l1 = 1.0", "",
       "job.toml:15: key 'privacy.clip_l1': contradicts 'privacy.mechanism' (line 17): noise"},
      {kC, "data = \"public\"", "data = \"none\"",
       "job.toml:26: key 'evaluation.blob': contradicts 'evaluation.data' (line 25)"},
      {kC, "blob = \"clinics-validation:rows=50,seed=9\"", "",
       "job.toml:24: key 'evaluation.blob': contradicts 'evaluation.data' (line 25)"},
      {kC, "clinics-validation:rows=50", "clinics-validation:row=50",
       "job.toml:26: key 'evaluation.blob': "},
      {kC, "preset = \"clinics\"", "preset = \"clinics\"\nformat = \"csv\"",
       "job.toml:6: key 'data.format': contradicts 'data.preset' (line 5)"},
      {kC, "epsilon = 0.1", "",
       "job.toml:21: key 'preprocessing.epsilon': got 0, allowed: 0.000001 to 1000"},
      {kI, "optimizer = \"adam\"", "optimizer = \"adam\"\nmomentum = 0.9",
       "job.toml:13: key 'training.momentum': contradicts 'training.optimizer' (line 12)"},
      {kI, "mechanism = \"none\"", "mechanism = \"none\"\nepsilon_total = 1",
       "job.toml:17: key 'privacy.epsilon_total': contradicts 'privacy.mechanism' (line 16)"},
      {kI, "", "[aggregation]\nweight = \"examples\"\n",
       "job.toml:17: key 'aggregation.weight_cap': contradicts 'aggregation.weight' (line 18)"},
      {kI, "", "[preprocessing]\nstandardise = \"public\"\n",
       "job.toml:18: key 'preprocessing.standardise': contradicts 'data.format' (line 6)"},
      {kI, "rounds = 2", "rounds = 2\ntarget_accuracy = 0.5",
       "job.toml:15: key 'federation.target_accuracy': contradicts 'evaluation.data' (not given)"},
      {kI, "architecture = \"mlp\"", "architecture = \"cnn\"",
       "job.toml:4: key 'model.hidden': contradicts 'model.architecture' (line 3)"},
      {kI, "hidden = [32, 16]", "",
       "job.toml:2: key 'model.hidden': contradicts 'model.architecture' (line 3)"},
      {kI, "height = 8", "height = 8\nheader = false",
       "job.toml:8: key 'data.header': contradicts 'data.format' (line 6)"},
      {kT, "label = \"sick\"", "label = 3",
       "job.toml:6: key 'data.label': contradicts 'data.header' (not given)"},
      {kT, "max = 120.5", "max = 0", "job.toml:7: key 'data.columns[0]': column 'age'"},
      {kT, "name = \"smoker\"", "name = \"smoker\"\nposition = 2",
       "job.toml:13: key 'data.columns[1].position': contradicts 'data.header' (not given)"},
      {kT, "architecture = \"logistic\"", "architecture = \"cnn\"",
       "job.toml:3: key 'model.architecture': "},
  };
}

std::vector<Mistake> later_versions() {
  return {
      {kC, "aggregators = 4", "visibility = \"secagg\"",
       "job.toml:14: key 'aggregation.visibility': \"secagg\" is not supported by this version; "
       "allowed: plain"},
      {kC, "aggregators = 4", "visibility = \"grouped\"",
       "job.toml:14: key 'aggregation.visibility': \"grouped\" is not supported"},
      {kC, "aggregators = 4", "rule = \"krum\"",
       "job.toml:14: key 'aggregation.rule': \"krum\" is not supported by this version; allowed: "
       "mean, fedavg"},
      {kC, "aggregators = 4", "server_optimizer = \"fedadam\"",
       "job.toml:14: key 'aggregation.server_optimizer': \"fedadam\" is not supported by this "
       "version; allowed: none"},
      {kI, "mechanism = \"none\"", "mechanism = \"skellam\"",
       "job.toml:16: key 'privacy.mechanism': \"skellam\" is not supported by this version; "
       "allowed: none, laplace"},
      {kI, "mechanism = \"none\"", "mechanism = \"discrete_gaussian\"",
       "job.toml:16: key 'privacy.mechanism': \"discrete_gaussian\" is not supported"},
      {kI, "mechanism = \"none\"", "mechanism = \"none\"\nnoise_by = \"workers\"",
       "job.toml:17: key 'privacy.noise_by': \"workers\" is not supported by this version; "
       "allowed: aggregators"},
      {kI, "", "[evaluation]\ndata = \"federated\"\n",
       "job.toml:18: key 'evaluation.data': \"federated\" is not supported by this version; "
       "allowed: public, none"},
      {kI, "", "[verification]\nreplay_fraction = 0.125\n",
       "job.toml:18: key 'verification.replay_fraction': 0.125 is not supported by this version; "
       "allowed: 0"},
      {kI, "hidden = [32, 16]", "hidden = [32, 16]\ntorchscript = \"model.pt\"",
       "job.toml:5: key 'model.torchscript': is not supported by this version; use "
       "model.architecture"},
  };
}

TEST(JobFileErrorTest, EveryMistakeIsNamed) {
  for (const auto& mistakes :
       {single_key_mistakes(), unknown_and_missing_keys(), contradictions(), later_versions()}) {
    for (const Mistake& mistake : mistakes) {
      const auto file = parse_job_file(with(mistake), "job.toml");
      ASSERT_FALSE(file.ok()) << mistake.message;
      EXPECT_EQ(file.error().code, ErrorCode::invalid_argument);
      EXPECT_THAT(file.error().detail, HasSubstr(mistake.message));
    }
  }
}

TEST(JobFileErrorTest, OneWrongValueMakesOneError) {
  for (const auto& mistakes : {single_key_mistakes(), later_versions()}) {
    for (const Mistake& mistake : mistakes) {
      const auto file = parse_job_file(with(mistake), "job.toml");
      ASSERT_FALSE(file.ok());
      EXPECT_EQ(std::count(file.error().detail.begin(), file.error().detail.end(), '\n'), 0)
          << file.error().detail;
    }
  }
}

TEST(JobFileErrorTest, AllErrorsComeInTheOrderOfTheFile) {
  std::string text = kClinicsFile;
  text.replace(text.find("rounds = 10"), 11, "rounds = 0");
  text.replace(text.find("unit = \"record\""), 15, "unit = 3");
  text.replace(text.find("architecture"), 12, "architektur");
  const auto file = parse_job_file(text, "a/b.toml");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().detail,
            "a/b.toml:2: key 'model.architecture': missing, allowed: logistic, mlp, cnn\n"
            "a/b.toml:3: key 'model.architektur': unknown key, did you mean "
            "'model.architecture'?\n"
            "a/b.toml:10: key 'federation.rounds': got 0, allowed: an integer, 1 to 100000\n"
            "a/b.toml:16: key 'privacy.unit': got 3, allowed: worker, record");
}

TEST(JobFileErrorTest, WhatIsNotTomlHasALineToo) {
  const auto file = parse_job_file("name = \"a\"\n[model\n", "job.toml");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().detail, StartsWith("job.toml:2: not valid TOML: "));
  const auto twice = parse_job_file("name = \"a\"\nname = \"b\"\n", "job.toml");
  ASSERT_FALSE(twice.ok());
  EXPECT_THAT(twice.error().detail, StartsWith("job.toml:2: not valid TOML: "));
}

TEST(JobFileErrorTest, AValueThatIsNotTomlNamesItsKeyAndWhatIsAllowed) {
  const auto file =
      parse_job_file("name = \"a\"\n[federation]\nrounds = 99999999999999999999\n", "job.toml");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().detail, StartsWith("job.toml:3: not valid TOML: "));
  EXPECT_THAT(file.error().detail,
              HasSubstr("(key 'federation.rounds', allowed: an integer, 1 to 100000)"));
}

TEST(JobFileErrorTest, MessagesShowOnlyPrintableText) {
  std::string text = kImagesFile;
  text.replace(text.find("\"mlp\""), 5, "\"\\u001b[31m" + std::string(200, 'x') + "\"");
  const auto file = parse_job_file(text, "job.toml");
  ASSERT_FALSE(file.ok());
  EXPECT_THAT(file.error().detail, HasSubstr("got \".[31mxxx"));
  EXPECT_LT(file.error().detail.size(), 200u);
}

TEST(JobFileErrorTest, AnUnreadableValidationSetIsNamed) {
  std::string text = kImagesFile + "[evaluation]\ndata = \"public\"\nblob = \"absent.csv\"\n";
  auto file = parse_job_file(text, "no-such-folder/job.toml");
  ASSERT_TRUE(file.ok()) << file.error().to_string();
  const auto blob = load_evaluation(*file);
  ASSERT_FALSE(blob.ok());
  EXPECT_THAT(blob.error().detail, StartsWith("evaluation.blob: "));
}

}  // namespace
}  // namespace fedmesh::protocol
