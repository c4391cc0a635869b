#include "base/crypto/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace fedmesh::crypto {
namespace {

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() { initialise(); }
  SystemRandom random_;
  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "node.key";
};

TEST_F(KeyFileTest, IsCreatedOncePrivateAndLoadsBack) {
  const auto key = load_or_create_key(path_, random_);
  ASSERT_TRUE(key.ok()) << key.error().to_string();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(load_or_create_key(path_, random_)->public_key(), key->public_key());
  EXPECT_EQ(store_key(path_, *key).error().code, ErrorCode::invalid_argument);
}

TEST_F(KeyFileTest, IsRefusedWhenOthersMayReadIt) {
  ASSERT_TRUE(load_or_create_key(path_, random_).ok());
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  EXPECT_EQ(load_key(path_).error().code, ErrorCode::unauthenticated);
  EXPECT_FALSE(load_or_create_key(path_, random_).ok());
}

TEST_F(KeyFileTest, DamageIsNamedAndMissingIsNotFound) {
  EXPECT_EQ(load_key(path_).error().code, ErrorCode::not_found);
  std::ofstream(path_) << "not a key\n";
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  EXPECT_EQ(load_key(path_).error().code, ErrorCode::corruption);
}

TEST(SecretTest, MovingWipesTheSource) {
  Secret<32> from(std::array<std::uint8_t, 32>{1, 2, 3});
  const Secret<32> to(std::move(from));
  EXPECT_EQ(to.view()[0], 1);
  EXPECT_EQ(from.view()[0], 0);  // NOLINT(bugprone-use-after-move): that is the point
}

}  // namespace
}  // namespace fedmesh::crypto
