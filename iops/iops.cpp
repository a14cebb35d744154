#include <chaise/iops.hpp>
