// A libcuda.so.1 whose GPU is this process's memory. It checks what a real one would not forgive,
// or would forgive silently: calls without a context on the calling thread, a stack left unbalanced,
// memory, streams, events, modules, graphs and contexts that were never freed or are unknown.
//
// Kernels run through edgeseg_emulate where it was linked in. Work is done at once, except on a
// stream that is being captured: it is recorded, and a graph's launch replays it.
//
// Environment: STUB_CUDA_INIT, result of cuInit; STUB_CUDA_DEVICES, how many GPUs; STUB_CUDA_SM,
// such as 52; STUB_CUDA_MEMORY, bytes of each; STUB_CUDA_NO_CAPTURE, every capture is spoilt.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int CUdevice, CUdevice_attribute, CUfunction_attribute, CUstreamCaptureMode, CUjit_option;
typedef unsigned long long CUdeviceptr;
typedef void* CUcontext;
typedef void (*CUhostFn)(void*);
typedef struct CUstream_st* CUstream;
typedef struct CUevent_st* CUevent;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef struct CUgraph_st* CUgraph;
typedef struct CUgraphExec_st* CUgraphExec;
typedef enum {  // numbers of the driver's C interface, which do not change
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_IMAGE = 200,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_ILLEGAL_STATE = 401,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    CUDA_ERROR_CAPTURED_EVENT = 907,
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901
} CUresult;
enum { SM_MAJOR = 75, SM_MINOR = 76, NON_BLOCKING = 1, THREAD_LOCAL_CAPTURE = 1 };

// Names that gained a suffix when their arguments grew.
#define cuDeviceTotalMem cuDeviceTotalMem_v2
#define cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2
#define cuCtxPushCurrent cuCtxPushCurrent_v2
#define cuCtxPopCurrent cuCtxPopCurrent_v2
#define cuMemAlloc cuMemAlloc_v2
#define cuMemFree cuMemFree_v2
#define cuMemcpyHtoDAsync cuMemcpyHtoDAsync_v2
#define cuMemcpyDtoHAsync cuMemcpyDtoHAsync_v2
#define cuStreamDestroy cuStreamDestroy_v2
#define cuStreamBeginCapture cuStreamBeginCapture_v2
#define cuEventDestroy cuEventDestroy_v2

enum { MOST = 4096, DEEPEST = 64 };
typedef enum { MEMORY, PINNED, STREAM, EVENT, MODULE, GRAPH, RUNNABLE, KINDS } Kind;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uintptr_t handle; Kind kind; size_t size; } held[MOST];
static int references, violations;
static size_t used;
static __thread CUcontext stack[DEEPEST];
static __thread int depth;

extern int edgeseg_emulate(const char*, const unsigned*, const unsigned*, void* const*)
    __attribute__((weak));

static long setting(const char* name, long otherwise) {
    const char* text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

static CUresult wrong(CUresult result) {
    __sync_fetch_and_add(&violations, 1);
    return result;
}

#define NEEDS_CONTEXT \
    if (!depth) return wrong(CUDA_ERROR_INVALID_CONTEXT)

static int keep(const void* handle, Kind kind, size_t size) {
    pthread_mutex_lock(&lock);
    int place = 0;
    while (place < MOST && held[place].handle) ++place;
    if (place < MOST) {
        held[place].handle = (uintptr_t)handle;
        held[place].kind = kind;
        held[place].size = size;
        if (kind == MEMORY) used += size;
    }
    pthread_mutex_unlock(&lock);
    return place < MOST;
}

static int drop(uintptr_t handle, Kind kind) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST && !found; ++i)
        if (held[i].handle == handle && held[i].kind == kind) {
            if (kind == MEMORY) used -= held[i].size;
            held[i].handle = 0;
            found = 1;
        }
    pthread_mutex_unlock(&lock);
    return found;
}

static int known(uintptr_t address, size_t size, Kind kind) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST && !found; ++i)
        found = held[i].handle && held[i].kind == kind && address >= held[i].handle &&
                address + size <= held[i].handle + (held[i].size ? held[i].size : 1);
    pthread_mutex_unlock(&lock);
    return found;
}

// counts: held things by Kind, then references to the context, wrong calls, this thread's depth.
void stub_counts(int* counts) {
    memset(counts, 0, sizeof(int) * (KINDS + 3));
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST; ++i)
        if (held[i].handle) ++counts[held[i].kind];
    pthread_mutex_unlock(&lock);
    counts[KINDS] = references;
    counts[KINDS + 1] = violations;
    counts[KINDS + 2] = depth;
}

// Forgets calls that were wrong on purpose, and returns how many there were.
int stub_forgive(void) { return __sync_fetch_and_and(&violations, 0); }

CUresult cuInit(unsigned flags) { return (CUresult)setting("STUB_CUDA_INIT", 0); }
CUresult cuDriverGetVersion(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int* count) {
    return *count = (int)setting("STUB_CUDA_DEVICES", 1), CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    if (ordinal >= setting("STUB_CUDA_DEVICES", 1)) return wrong(CUDA_ERROR_INVALID_DEVICE);
    return *device = ordinal, CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
    return snprintf(name, length, "Stub GPU %d", device), CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t* bytes, CUdevice device) {
    return *bytes = setting("STUB_CUDA_MEMORY", 1 << 30), CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
    int sm = (int)setting("STUB_CUDA_SM", 90);
    *value = attribute == SM_MAJOR ? sm / 10
             : attribute == SM_MINOR ? sm % 10
                                                                         : 0;
    return CUDA_SUCCESS;
}
CUresult cuGetExportTable(const void** table, const void* id) {  // NVRTC asks, and lives without
    return *table = NULL, CUDA_ERROR_NOT_FOUND;
}
CUresult cuGetErrorName(CUresult error, const char** text) {
    *text = error == CUDA_SUCCESS                 ? "CUDA_SUCCESS"
            : error == CUDA_ERROR_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == CUDA_ERROR_NO_DEVICE       ? "CUDA_ERROR_NO_DEVICE"
            : error == CUDA_ERROR_INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
            : error == CUDA_ERROR_INVALID_VALUE   ? "CUDA_ERROR_INVALID_VALUE"
            : error == CUDA_ERROR_NOT_FOUND       ? "CUDA_ERROR_NOT_FOUND"
            : error == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
            : error == CUDA_ERROR_CAPTURED_EVENT ? "CUDA_ERROR_CAPTURED_EVENT"
            : error == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
                : "CUDA_ERROR_OTHER";
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char** text) { return cuGetErrorName(error, text); }

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
    __sync_fetch_and_add(&references, 1);
    return *context = (CUcontext)(uintptr_t)(0x1000 + device), CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    if (references < 1) return wrong(CUDA_ERROR_INVALID_CONTEXT);
    return __sync_fetch_and_sub(&references, 1), CUDA_SUCCESS;
}
CUresult cuCtxPushCurrent(CUcontext context) {
    if (depth == DEEPEST || !context) return wrong(CUDA_ERROR_INVALID_CONTEXT);
    return stack[depth++] = context, CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext* context) {
    if (!depth) return wrong(CUDA_ERROR_INVALID_CONTEXT);
    --depth;
    if (context) *context = stack[depth];
    return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* context) {
    return *context = depth ? stack[depth - 1] : NULL, CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) {
    NEEDS_CONTEXT;
    return *device = (CUdevice)((uintptr_t)stack[depth - 1] - 0x1000), CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr* address, size_t size) {
    NEEDS_CONTEXT;
    void* block = NULL;
    if (used + size > (size_t)setting("STUB_CUDA_MEMORY", 1 << 30)) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!size || posix_memalign(&block, 256, size)) return wrong(CUDA_ERROR_INVALID_VALUE);
    keep(block, MEMORY, size);
    return *address = (CUdeviceptr)(uintptr_t)block, CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr address) {
    NEEDS_CONTEXT;
    if (!drop((uintptr_t)address, MEMORY)) return wrong(CUDA_ERROR_INVALID_VALUE);
    return free((void*)(uintptr_t)address), CUDA_SUCCESS;
}
CUresult cuMemHostAlloc(void** memory, size_t size, unsigned flags) {
    NEEDS_CONTEXT;
    *memory = calloc(1, size);
    return keep(*memory, PINNED, size), CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* memory) {
    NEEDS_CONTEXT;
    if (!drop((uintptr_t)memory, PINNED)) return wrong(CUDA_ERROR_INVALID_VALUE);
    return free(memory), CUDA_SUCCESS;
}

typedef struct Work {
    struct Work* next;
    void *to, *arguments[4];
    const void* from;
    size_t size;
    const char* kernel;
    unsigned grid[3], block[3];
    CUhostFn function;
    void* data;
} Work;
typedef struct { Work *first, **last; } List;
struct CUstream_st { int capturing; List list; };
struct CUgraph_st { List list; };
struct CUgraphExec_st { List list; };
struct CUevent_st { struct timespec at; int captured; };
struct CUmod_st { int unused; };
struct CUfunc_st { char name[64]; };
static struct CUfunc_st functions[64];
static int function_count;

static CUresult perform(const Work* work) {
    if (work->function) return work->function(work->data), CUDA_SUCCESS;
    if (!work->kernel) return memcpy(work->to, work->from, work->size), CUDA_SUCCESS;
    void* places[4];
    for (int i = 0; i < 4; ++i) places[i] = (void*)&work->arguments[i];
    if (!edgeseg_emulate) return wrong(CUDA_ERROR_NOT_SUPPORTED);
    return edgeseg_emulate(work->kernel, work->grid, work->block, places)
               ? wrong(CUDA_ERROR_NOT_FOUND)
               : CUDA_SUCCESS;
}

static CUresult put(CUstream stream, Work work) {
    if (!known((uintptr_t)stream, 0, STREAM)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    if (!stream->capturing) return perform(&work);
    Work* copy = malloc(sizeof work);
    *copy = work;
    copy->next = NULL;
    *stream->list.last = copy;
    stream->list.last = &copy->next;
    return CUDA_SUCCESS;
}

static void forget(List* list) {
    while (list->first) {
        Work* next = list->first->next;
        free(list->first);
        list->first = next;
    }
}

static CUresult copy(void* to, const void* from, size_t size, CUstream stream, CUdeviceptr device,
                     const void* host) {
    NEEDS_CONTEXT;
    if (!known((uintptr_t)device, size, MEMORY)) return wrong(CUDA_ERROR_INVALID_VALUE);
    if (stream && stream->capturing && !known((uintptr_t)host, size, PINNED))
        return wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    return put(stream, (Work){.to = to, .from = from, .size = size});
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t size, CUstream stream) {
    return copy((void*)(uintptr_t)to, from, size, stream, to, from);
}
CUresult cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy(to, (const void*)(uintptr_t)from, size, stream, from, to);
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
    NEEDS_CONTEXT;
    if (flags != NON_BLOCKING) return wrong(CUDA_ERROR_INVALID_VALUE);
    *stream = calloc(1, sizeof **stream);
    return keep(*stream, STREAM, 0), CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream stream) {
    NEEDS_CONTEXT;
    if (!drop((uintptr_t)stream, STREAM)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    return free(stream), CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) {
    NEEDS_CONTEXT;
    if (!known((uintptr_t)stream, 0, STREAM)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    return stream->capturing ? wrong(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED) : CUDA_SUCCESS;
}
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void* data) {
    NEEDS_CONTEXT;
    return put(stream, (Work){.function = function, .data = data});
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
    NEEDS_CONTEXT;
    *event = calloc(1, sizeof **event);
    return keep(*event, EVENT, 0), CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent event) {
    NEEDS_CONTEXT;
    if (!drop((uintptr_t)event, EVENT)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    return free(event), CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
    NEEDS_CONTEXT;
    if (!known((uintptr_t)stream, 0, STREAM)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    event->captured = stream->capturing;
    return clock_gettime(CLOCK_MONOTONIC, &event->at), CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent event) {
    NEEDS_CONTEXT;
    return event->captured ? wrong(CUDA_ERROR_CAPTURED_EVENT) : CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float* ms, CUevent start, CUevent end) {
    NEEDS_CONTEXT;
    *ms = (end->at.tv_sec - start->at.tv_sec) * 1e3f + (end->at.tv_nsec - start->at.tv_nsec) / 1e6f;
    return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime_v2(float* ms, CUevent start, CUevent end) {
    return cuEventElapsedTime(ms, start, end);
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned n, CUjit_option* options,
                            void** values) {
    NEEDS_CONTEXT;
    if (memcmp(image, "\177ELF", 4)) return wrong(CUDA_ERROR_INVALID_IMAGE);
    *module = calloc(1, sizeof **module);
    return keep(*module, MODULE, 0), CUDA_SUCCESS;
}
CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}
CUresult cuModuleUnload(CUmodule module) {
    NEEDS_CONTEXT;
    if (!drop((uintptr_t)module, MODULE)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    return free(module), CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    NEEDS_CONTEXT;
    if (!strcmp(name, "missing") || function_count == 64) return CUDA_ERROR_NOT_FOUND;
    *function = &functions[function_count++];
    snprintf((*function)->name, sizeof (*function)->name, "%s", name);
    return CUDA_SUCCESS;
}
CUresult cuFuncSetBlockShape(CUfunction function, int x, int y, int z) {  // pycuda still calls it
    NEEDS_CONTEXT;
    return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction function) {
    return *value = 0, CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                        unsigned by, unsigned bz, unsigned shared, CUstream stream,
                        void** parameters, void** extra) {
    NEEDS_CONTEXT;
    Work work = {.kernel = function->name, .grid = {gx, gy, gz}, .block = {bx, by, bz}};
    for (int i = 0; i < 4; ++i)
        if (parameters)
            memcpy(&work.arguments[i], parameters[i], 8);
        else  // { BUFFER_POINTER, buffer, BUFFER_SIZE, size, END }: our kernels take addresses only
            memcpy(&work.arguments[i], (char*)extra[1] + 8 * i, 8);
    return put(stream, work);
}

CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    NEEDS_CONTEXT;
    if (stream->capturing || mode != THREAD_LOCAL_CAPTURE)
        return wrong(CUDA_ERROR_INVALID_VALUE);
    stream->capturing = 1;
    stream->list.first = NULL;
    stream->list.last = &stream->list.first;
    return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    NEEDS_CONTEXT;
    if (!stream->capturing) return wrong(CUDA_ERROR_ILLEGAL_STATE);
    stream->capturing = 0;
    if (setting("STUB_CUDA_NO_CAPTURE", 0)) {
        forget(&stream->list);
        return *graph = NULL, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }
    *graph = calloc(1, sizeof **graph);
    (*graph)->list.first = stream->list.first;
    return keep(*graph, GRAPH, 0), CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* runnable, CUgraph graph, unsigned long long flags) {
    NEEDS_CONTEXT;
    *runnable = calloc(1, sizeof **runnable);
    Work** last = &(*runnable)->list.first;
    for (Work* work = graph->list.first; work; work = work->next) {
        *last = malloc(sizeof **last);
        **last = *work;
        (*last)->next = NULL;
        last = &(*last)->next;
    }
    return keep(*runnable, RUNNABLE, 0), CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
    if (!drop((uintptr_t)graph, GRAPH)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    forget(&graph->list);
    return free(graph), CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec graph, CUstream stream) {
    NEEDS_CONTEXT;
    if (!known((uintptr_t)graph, 0, RUNNABLE)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    for (Work* work = graph->list.first; work; work = work->next) {
        CUresult result = put(stream, *work);
        if (result) return result;
    }
    return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec graph) {
    if (!drop((uintptr_t)graph, RUNNABLE)) return wrong(CUDA_ERROR_INVALID_HANDLE);
    forget(&graph->list);
    return free(graph), CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** found, int version,
                             unsigned long long flags, int* status) {
    char newer[96];
    snprintf(newer, sizeof newer, "%s_v2", symbol);
    *found = dlsym(RTLD_DEFAULT, newer);
    if (!*found) *found = dlsym(RTLD_DEFAULT, symbol);
    if (status) *status = *found ? 0 : 1;
    return *found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
