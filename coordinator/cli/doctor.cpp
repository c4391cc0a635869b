#include "coordinator/cli/doctor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/crypto/aead.h"
#include "base/crypto/keys.h"
#include "base/options.h"
#include "coordinator/cli/command_support.h"
#include "coordinator/cli/report_text.h"
#include "net/zmq_transport.h"

namespace fedmesh::cli {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t kYear2025Ms = 1'735'689'600'000;
constexpr std::int64_t kYear2100Ms = 4'102'444'800'000;
constexpr Duration kClockStep{50};
constexpr std::int64_t kClockSlackMs = 2000;
constexpr std::uint64_t kFreeWarn = 2'000'000'000, kFreeFail = 200'000'000;
constexpr int kFlushes = 5;
constexpr Duration kFlushWarn{100};
constexpr std::uint64_t kFilesWarn = 1024, kFilesFail = 128;
constexpr std::uint64_t kMemoryWarn = 1'000'000'000, kMemoryFail = 250'000'000;

std::int64_t wall_ms() {
  return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof(text), "%04o", static_cast<unsigned>(mode & 07777));
  return text;
}

// The folder itself, or the nearest one above it that is there.
fs::path existing(fs::path folder) {
  std::error_code ignored;
  folder = fs::absolute(folder, ignored).lexically_normal();
  while (!fs::exists(folder, ignored) && folder.has_parent_path() && folder != folder.parent_path())
    folder = folder.parent_path();
  return folder;
}

Finding check_space(const fs::path& folder) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0)
    return {"disk space", Health::warn, folder.string() + ": " + std::strerror(errno),
            "make the folder, or name another one with --home"};
  const std::uint64_t free = std::uint64_t{status.f_bavail} * status.f_frsize;
  const std::string detail = bytes_text(free) + " free at " + folder.string();
  if (free < kFreeFail)
    return {"disk space", Health::fail, detail, "make room: at least " + bytes_text(kFreeWarn)};
  if (free < kFreeWarn)
    return {
        "disk space", Health::warn, detail,
        "make room: models, openings and logs need some; " + bytes_text(kFreeWarn) + " is fine"};
  return {"disk space", Health::ok, detail, ""};
}

// Writes what a worker writes before it commits: a small file, flushed.
Result<Duration> slowest_flush(const fs::path& folder) {
  std::string name = (folder / ".doctor-XXXXXX").string();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return unavailable(std::strerror(errno));
  ::unlink(name.c_str());
  std::array<char, 4096> page{};
  Duration slowest{0};
  int failure = 0;
  for (int i = 0; i < kFlushes && failure == 0; ++i) {
    const auto start = SteadyClock::now();
    const bool done = ::write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()) &&
                      ::fsync(fd) == 0;
    if (!done) failure = errno;
    slowest = std::max(slowest, std::chrono::duration_cast<Duration>(SteadyClock::now() - start));
  }
  ::close(fd);
  if (failure != 0) return unavailable(std::strerror(failure));
  return slowest;
}

Finding check_key(const fs::path& path) {
  struct stat status {};
  const std::string name = path.filename().string();
  if (::stat(path.c_str(), &status) != 0)
    return {"key " + name, Health::fail, std::strerror(errno), "look at " + path.string()};
  const std::string detail = path.string() + ", mode " + octal(status.st_mode);
  if ((status.st_mode & 077) != 0)
    return {"key " + name, Health::fail, detail + ": others may read it",
            "chmod 600 " + path.string() + "; if others had access, make a new key"};
  if (status.st_uid != ::geteuid())
    return {"key " + name, Health::warn, detail + ": it belongs to another user",
            "run as its owner, or chown it"};
  const auto key = crypto::load_key(path);
  if (!key.ok())
    return {"key " + name, Health::fail, key.error().detail,
            "restore the file from a backup; a lost key cannot be made again"};
  return {"key " + name, Health::ok, detail + ", node " + key->node_id().short_hex(), ""};
}

std::uint64_t available_memory() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  std::uint64_t kilobytes = 0;
  while (in >> name >> kilobytes) {
    if (name == "MemAvailable:") return kilobytes * 1024;
    std::getline(in, unit);
  }
  return 0;
}

Finding check_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return {"open files", Health::warn, std::strerror(errno), "look at ulimit -n"};
  // The network code raises the soft limit to the hard one by itself.
  const std::string detail =
      limit.rlim_max == RLIM_INFINITY ? "no limit" : "up to " + std::to_string(limit.rlim_max);
  const std::string advice = "raise it: ulimit -Hn 65536, or LimitNOFILE= of the service";
  if (limit.rlim_max < kFilesFail) return {"open files", Health::fail, detail, advice};
  if (limit.rlim_max < kFilesWarn)
    return {"open files", Health::warn, detail + ", enough for few workers", advice};
  return {"open files", Health::ok, detail, ""};
}

}  // namespace

const char* to_string(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warn:
      return "warn";
    case Health::fail:
      return "fail";
  }
  return "unknown";
}

Findings check_clock() {
  const std::int64_t before = wall_ms();
  const auto start = SteadyClock::now();
  std::this_thread::sleep_for(kClockStep);
  const auto steady = std::chrono::duration_cast<Duration>(SteadyClock::now() - start).count();
  const std::int64_t now = wall_ms();
  const std::int64_t drift = now - before - steady;
  const std::string advice = "set the clock and keep it set: timedatectl set-ntp true";
  if (now < kYear2025Ms || now > kYear2100Ms)
    return {{"clock", Health::fail, "it is " + time_text(now) + " here", advice}};
  if (drift < -20 || drift > 20)
    return {{"clock", Health::warn,
             "it moved by " + std::to_string(drift) + " ms while it was looked at", advice}};
  return {{"clock", Health::ok, "it is " + time_text(now), ""}};
}

Finding check_clock_against(std::int64_t head_ms, std::int64_t now_ms) {
  const std::int64_t behind = head_ms - now_ms;
  if (behind > kClockSlackMs)
    return {"clock and network", Health::fail,
            "the newest block is " + nano_text(behind * 1'000'000, 1) +
                " s in this machine's future: one of the two clocks is wrong",
            "set both clocks: timedatectl set-ntp true"};
  return {"clock and network", Health::ok,
          "the newest block is of " + time_text(head_ms) + ", not in the future", ""};
}

Findings check_disk(const fs::path& home) {
  const fs::path folder = existing(home);
  std::error_code ignored;
  const bool here = fs::is_directory(home, ignored);
  Findings out = {check_space(folder)};
  const std::string not_yet = here ? "" : home.string() + " does not exist yet; ";
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    out.push_back({"disk", Health::fail,
                   not_yet + folder.string() + " cannot be written: " + std::strerror(errno),
                   "run as its owner, or name another folder with --home"});
    return out;
  }
  if (!here) {
    out.push_back({"disk", Health::ok, not_yet + "it can be made in " + folder.string(), ""});
    return out;
  }
  const auto flush = slowest_flush(folder);
  if (!flush.ok()) {
    out.push_back({"disk", Health::fail,
                   "a file in " + folder.string() + ": " + flush.error().detail,
                   "make room, or look at the disk (dmesg)"});
    return out;
  }
  const std::string detail = "writable; a flush took at most " + std::to_string(flush->count()) +
                             " ms in " + std::to_string(kFlushes) + " tries";
  if (*flush > kFlushWarn) {
    out.push_back({"disk", Health::warn, detail,
                   "a worker flushes before it commits: use a faster disk, or longer deadlines"});
  } else {
    out.push_back({"disk", Health::ok, detail, ""});
  }
  return out;
}

Findings check_keys(const fs::path& home) {
  std::error_code error;
  std::vector<fs::path> keys;
  fs::directory_iterator at(home, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error))
    if (at->path().extension() == ".key") keys.push_back(at->path());
  std::sort(keys.begin(), keys.end());
  Findings out;
  for (const auto& key : keys) out.push_back(check_key(key));
  return out;
}

Findings check_home(const fs::path& home) {
  struct stat status {};
  if (::stat(home.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};  // check_disk() says so
    return {{"home", Health::fail, home.string() + ": " + std::strerror(errno),
             "name a folder of yours with --home"}};
  }
  if (!S_ISDIR(status.st_mode))
    return {{"home", Health::fail, home.string() + " is no folder", "name a folder with --home"}};
  Findings out;
  const std::string detail = home.string() + ", mode " + octal(status.st_mode);
  if ((status.st_mode & 022) != 0) {
    out.push_back({"home", Health::fail, detail + ": others could replace what is in it",
                   "chmod 700 " + home.string()});
  } else {
    out.push_back({"home", Health::ok, detail, ""});
  }
  const auto genesis = ledger::load_genesis(home / "genesis.fm");
  if (genesis.ok()) {
    out.push_back({"network", Health::ok,
                   "genesis of " + genesis->network_name + ", chain " +
                       ledger::chain_id(*genesis).short_hex(),
                   ""});
  } else if (genesis.error().code != ErrorCode::not_found) {
    out.push_back({"network", Health::fail, genesis.error().detail,
                   "restore " + (home / "genesis.fm").string() + " from another node of it"});
  }
  return out;
}

Findings check_limits() {
  Findings out = {check_open_files()};
  const std::uint64_t memory = available_memory();
  const std::string detail = bytes_text(memory) + " available";
  if (memory < kMemoryFail) {
    out.push_back({"memory", Health::fail, detail,
                   "end other programs: a trainer needs 170 MB "
                   "and its data"});
  } else if (memory < kMemoryWarn) {
    out.push_back({"memory", Health::warn, detail,
                   "enough for small models; end other programs for larger ones"});
  } else {
    out.push_back({"memory", Health::ok, detail, ""});
  }
  const unsigned cores = std::thread::hardware_concurrency();
  out.push_back(
      {"processor", Health::ok, std::to_string(cores) + (cores == 1 ? " core" : " cores"), ""});
  return out;
}

Findings check_versions() {
  return {{"version", Health::ok, std::string("fedmesh ") + version(), ""},
          {"libraries", Health::ok, crypto::library_version() + ", " + net::library_version(), ""},
          {"encryption", Health::ok,
           crypto::aes256_gcm_available() ? "AES-256-GCM in hardware"
                                          : "ChaCha20-Poly1305 (no AES instructions)",
           ""}};
}

}  // namespace fedmesh::cli
