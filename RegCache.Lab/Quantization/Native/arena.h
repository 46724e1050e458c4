// Working memory that stays with the process: fresh pages would cost more than what is computed in them.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace rc {

class Arena {
 public:
  // Calls `place` twice: to learn how much it takes, and to hand it out. What it got before is lost.
  template <typename Place> void arrange(Place place) {
    memory_ = nullptr, used_ = 0;
    place(*this);
    if (used_ > size_) grow(used_);
    memory_ = block_, used_ = 0;
    place(*this);
  }

  // Starts at a cache line, and one vector behind it is readable.
  template <typename T> T *take(size_t count) {
    char *start = memory_ + used_;
    used_ += (count * sizeof(T) + line - 1) / line * line + line;
    return reinterpret_cast<T *>(start);
  }

 private:
  static constexpr size_t huge_page = size_t{2} << 20, line = 64;

  void grow(size_t bytes) {
    if (block_) munmap(block_, size_);
    block_ = nullptr, size_ = 0;
    const size_t size = (bytes + huge_page - 1) / huge_page * huge_page;
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    block_ = static_cast<char *>(memory), size_ = size;
  }

  char *block_ = nullptr, *memory_ = nullptr;
  size_t size_ = 0, used_ = 0;
};

// An arena for the time of one call; calls from several threads get one each.
class BorrowedArena {
 public:
  BorrowedArena() {
    const std::lock_guard lock(mutex());
    if (idle().empty()) {
      arena_ = std::make_unique<Arena>();
    } else {
      arena_ = std::move(idle().back());
      idle().pop_back();
    }
  }

  ~BorrowedArena() {
    const std::lock_guard lock(mutex());
    idle().push_back(std::move(arena_));
  }

  Arena *operator->() { return arena_.get(); }

 private:
  static std::mutex &mutex() {
    static auto &guard = *new std::mutex;
    return guard;
  }

  static std::vector<std::unique_ptr<Arena>> &idle() {
    // Never destroyed: threads may still compute while the process ends.
    static auto &arenas = *new std::vector<std::unique_ptr<Arena>>;
    return arenas;
  }

  std::unique_ptr<Arena> arena_;
};

}  // namespace rc
