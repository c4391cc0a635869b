#include "worker/trainer/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

extern char** environ;

namespace fedmesh::trainer {
namespace {

constexpr int kExecFailed = 127;

struct Pipe {
  int read = -1, write = -1;
  ~Pipe() {
    if (read >= 0) ::close(read);
    if (write >= 0) ::close(write);
  }
  int take_read() { return std::exchange(read, -1); }
  int take_write() { return std::exchange(write, -1); }
};

// Close-on-exec, and above the standard streams even where the process was started without them.
bool open_pipe(Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  for (int& end : ends) {
    if (end > 2) continue;
    const int moved = ::fcntl(end, F_DUPFD_CLOEXEC, 3);
    ::close(end);
    end = moved;
  }
  pipe.read = ends[0];
  pipe.write = ends[1];
  return pipe.read >= 0 && pipe.write >= 0;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Between fork and exec, in a process that had other threads: system calls only.
[[noreturn]] void become(char* const* command, char* const* environment, int in, int out, int err,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kExecFailed);  // it died before the request above took effect
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(kExecFailed);
  if (::syscall(SYS_close_range, 3u, ~0u, 0u) != 0)
    for (int fd = 3; fd < 4096; ++fd) ::close(fd);
  ::execve(command[0], command, environment);
  ::_exit(kExecFailed);
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* name = ::sigabbrev_np(number);
    return "was killed by signal " + std::to_string(number) +
           (name != nullptr ? " (SIG" + std::string(name) + ")" : "");
  }
  const int code = WEXITSTATUS(status);
  return "exited with code " + std::to_string(code) +
         (code == kExecFailed ? " (it could not be executed)" : "");
}

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(
    const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  if (command.empty() || ::access(command[0].c_str(), X_OK) != 0)
    return not_found("the program '" + (command.empty() ? "" : command[0]) +
                     "' cannot be executed: " + std::strerror(command.empty() ? EINVAL : errno));
  Pipe in, out, err;
  if (!open_pipe(in) || !open_pipe(out) || !open_pipe(err))
    return unavailable(std::string("cannot create a pipe: ") + std::strerror(errno));
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return unavailable(std::string("cannot start a process: ") + std::strerror(errno));
  if (pid == 0) become(arguments.data(), variables.data(), in.read, out.write, err.write, parent);
  for (const int fd : {in.write, out.read, err.read}) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    ::fcntl(fd, F_SETPIPE_SZ, 1 << 20);  // fewer wake-ups; smaller pipes work too
  }
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(pid, in.take_write(), out.take_read(), err.take_read()));
}

ChildProcess::~ChildProcess() {
  if (pid_ != 0) wait(Duration(0));
  close_input();
  close_errors();
  ::close(output_);
}

void ChildProcess::close_input() {
  if (input_ >= 0) ::close(std::exchange(input_, -1));
}

void ChildProcess::close_errors() {
  if (errors_ >= 0) ::close(std::exchange(errors_, -1));
}

void ChildProcess::kill() {
  if (pid_ != 0) ::kill(pid_, SIGKILL);
}

std::string ChildProcess::wait(Duration patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  int status = 0;
  pid_t reaped = 0;
  while ((reaped = ::waitpid(pid_, &status, WNOHANG)) == 0 &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (reaped == 0) {
    kill();
    do reaped = ::waitpid(pid_, &status, 0);
    while (reaped < 0 && errno == EINTR);
  }
  pid_ = 0;
  return reaped < 0 ? "is gone" : describe(status);
}

namespace {

// An OpenBLAS that is older than the processor does not know it and takes kernels of 2004, which
// cost a tenth to a fifth of the speed of training. Empty where nothing needs to be said.
std::string openblas_core() {
#if defined(__x86_64__)
  constexpr const char* kVariable = "OPENBLAS_CORETYPE";
  if (std::getenv(kVariable) != nullptr) return "";
  __builtin_cpu_init();
  const bool wide =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  if (wide) return std::string(kVariable) + "=SkylakeX";
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
    return std::string(kVariable) + "=Haswell";
#endif
  return "";
}

}  // namespace

std::vector<std::string> trainer_environment() {
  static constexpr std::array<std::string_view, 16> kKept{
      "PATH=",   "HOME=",  "TMPDIR=", "LANG=", "LC_",   "TZ=",   "LD_LIBRARY_PATH=", "CUDA_",
      "NVIDIA_", "CUDNN_", "OMP_",    "GOMP_", "DNNL_", "ATEN_", "OPENBLAS_",        "MKL_"};
  // USER: without it glog, which LibTorch pulls in, asks the name service at load, through a
  // socket.
  static constexpr std::array<std::string_view, 3> kSet{
      "OPENBLAS_NUM_THREADS=1", "OMP_WAIT_POLICY=passive", "USER=fedmesh-trainer"};
  static constexpr std::array<std::string_view, 4> kSanitizers{
      "ASAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
  const auto begins = [](std::string_view variable) {
    return [variable](std::string_view name) { return variable.starts_with(name); };
  };
  std::vector<std::string> out;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable = *at;
    const bool set = std::any_of(kSet.begin(), kSet.end(), [&](std::string_view own) {
      return variable.starts_with(own.substr(0, own.find('=') + 1));
    });
    if (!set && (std::any_of(kKept.begin(), kKept.end(), begins(variable)) ||
                 std::any_of(kSanitizers.begin(), kSanitizers.end(), begins(variable))))
      out.emplace_back(variable);
  }
  out.insert(out.end(), kSet.begin(), kSet.end());
  if (auto core = openblas_core(); !core.empty()) out.push_back(std::move(core));
  return out;
}

}  // namespace fedmesh::trainer
