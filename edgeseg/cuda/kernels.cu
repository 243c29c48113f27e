// A frame to a network's input, and a network's scores to a byte per pixel.
//
// Header-free, for NVRTC and nvcc of CUDA 11 to 13. The structs are those of recipes.py, and each
// kernel has a twin in twins.py: same steps in the same order, so that, compiled without fused
// multiply-adds, both give the same bytes. Errors cannot leave a kernel: numbers that are none set
// *damaged, which the input kernel of the same run has cleared.

typedef unsigned char byte;

struct Axis {
    int size, level, box;  // pixels, boxes, pixels per box
    float ratio;           // boxes per pixel made
};
struct Plane {
    int offset, stride;
    Axis x, y;
};
struct InputRecipe {
    Plane planes[3];
    int width, height, left, top, right, bottom;
    int nchw, kind;
    float matrix[3][4], mean[3], std[3];
};
struct ScoreRecipe {
    int columns, rows, width, height;  // of the scores, of what is made
    float ratio_x, ratio_y;            // scores per pixel made
    int channels, pixel_stride, channel_stride;
    int kind, channel, activation;
};

enum { UINT8 = 0, FLOAT16 = 1, FLOAT32 = 2 };
enum { NONE = 0, SIGMOID = 1, SOFTMAX = 2 };
enum { LETTERBOX_GREY = 114, NO_CLASS = 255 };

#ifndef EDGESEG_EMULATED  // tests compile this file for a CPU, with halves of their own
static __device__ float from_half(unsigned short half) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
}

static __device__ unsigned short to_half(float value) {
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
}
#endif

static __device__ bool is_number(float value) { return value - value == 0.0f; }

static __device__ int clamp(int value, int last) {
    return value < 0 ? 0 : value > last ? last : value;
}

// The two of so many values a place lies between, and how far from the first.
struct Taps {
    int first, second;
    float along;
};

static __device__ Taps taps(int place, float ratio, int count) {
    float at = ((float)place + 0.5f) * ratio - 0.5f;
    int first = (int)floorf(at);
    return {clamp(first, count - 1), clamp(first + 1, count - 1), at - floorf(at)};
}

static __device__ float box_sum(const byte* pixels, const Plane& plane, int column, int row) {
    const byte* corner = pixels + (long long)(row * plane.y.box) * plane.stride;
    corner += column * plane.x.box;
    int sum = 0;
    for (int y = 0; y < plane.y.box; ++y)
        for (int x = 0; x < plane.x.box; ++x) sum += corner[(long long)y * plane.stride + x];
    return (float)sum;
}

// One line of boxes; a box of no weight is not read.
static __device__ float line_of(const byte* pixels, const Plane& plane, Taps x, int row) {
    float first = box_sum(pixels, plane, x.first, row) * (1.0f - x.along);
    return x.along == 0.0f ? first : first + box_sum(pixels, plane, x.second, row) * x.along;
}

static __device__ float resized(const byte* picture, const Plane& plane, int column, int row) {
    const byte* pixels = picture + plane.offset;
    Taps x = taps(column, plane.x.ratio, plane.x.level);
    Taps y = taps(row, plane.y.ratio, plane.y.level);
    float value = line_of(pixels, plane, x, y.first) * (1.0f - y.along);
    if (y.along != 0.0f) value += line_of(pixels, plane, x, y.second) * y.along;
    return rintf(value * (1.0f / (float)(plane.x.box * plane.y.box)));
}

static __device__ void store(void* out, long long place, int kind, float level, float mean,
                             float std) {
    if (kind == UINT8) {
        ((byte*)out)[place] = (byte)level;
        return;
    }
    float value = (level - mean) / std;
    if (kind == FLOAT16)
        ((unsigned short*)out)[place] = to_half(value);
    else
        ((float*)out)[place] = value;
}

static __device__ float load(const void* values, long long place, int kind) {
    if (kind == UINT8) return (float)((const byte*)values)[place];
    if (kind == FLOAT16) return from_half(((const unsigned short*)values)[place]);
    return ((const float*)values)[place];
}

// One thread per pixel of the input, blocks in two dimensions.
extern "C" __global__ void i420_to_input(const byte* picture, const InputRecipe* recipe, void* out,
                                         unsigned int* damaged) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x == 0 && y == 0) *damaged = 0;
    if (x >= recipe->width || y >= recipe->height) return;
    bool inside = x >= recipe->left && x < recipe->right && y >= recipe->top && y < recipe->bottom;
    float yuv[3] = {0.0f, 0.0f, 0.0f};
    if (inside)
        for (int plane = 0; plane < 3; ++plane)
            yuv[plane] =
                resized(picture, recipe->planes[plane], x - recipe->left, y - recipe->top);
    long long pixel = (long long)y * recipe->width + x;
    for (int channel = 0; channel < 3; ++channel) {
        const float* row = recipe->matrix[channel];
        float level = row[0] * yuv[0] + row[1] * yuv[1];
        level = level + row[2] * yuv[2];
        level = inside ? rintf(level + row[3]) : (float)LETTERBOX_GREY;
        level = fminf(fmaxf(level, 0.0f), 255.0f);
        long long place = recipe->nchw
                              ? (long long)channel * recipe->width * recipe->height + pixel
                              : pixel * 3 + channel;
        store(out, place, recipe->kind, level, recipe->mean[channel], recipe->std[channel]);
    }
}

static __device__ float score_between(const void* scores, const ScoreRecipe* recipe, int channel,
                                      Taps x, int row) {
    long long line = (long long)row * recipe->columns;
    long long plane = (long long)channel * recipe->channel_stride;
    float first = load(scores, (line + x.first) * recipe->pixel_stride + plane, recipe->kind);
    if (x.along == 0.0f) return first;
    float second = load(scores, (line + x.second) * recipe->pixel_stride + plane, recipe->kind);
    return first * (1.0f - x.along) + second * x.along;
}

// One thread per pixel made; the lowest of the best classes, as numpy's argmax.
extern "C" __global__ void scores_to_labels(const void* scores, const ScoreRecipe* recipe,
                                            byte* labels, unsigned int* damaged) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= recipe->width * recipe->height) return;
    Taps x = taps(pixel % recipe->width, recipe->ratio_x, recipe->columns);
    Taps y = taps(pixel / recipe->width, recipe->ratio_y, recipe->rows);
    float best = 0.0f;
    bool sound = true;
    int label = 0;
    for (int channel = 0; channel < recipe->channels; ++channel) {
        float score = score_between(scores, recipe, channel, x, y.first);
        if (y.along != 0.0f) {
            float lower = score_between(scores, recipe, channel, x, y.second);
            score = score * (1.0f - y.along) + lower * y.along;
        }
        sound = sound && is_number(score);
        if (channel == 0 || score > best) {
            best = score;
            label = channel;
        }
    }
    if (!sound) *damaged = 1;
    labels[pixel] = (byte)(sound ? label : NO_CLASS);
}

// One thread per pixel; softmax is 1 / sum(exp(other - own)), which is sigmoid for two.
extern "C" __global__ void person_to_bytes(const void* scores, const ScoreRecipe* recipe,
                                           byte* bytes, unsigned int* damaged) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= recipe->columns * recipe->rows) return;
    long long first = (long long)pixel * recipe->pixel_stride;
    float scale = recipe->kind == UINT8 ? 1.0f / 255.0f : 1.0f;
    long long place = first + (long long)recipe->channel * recipe->channel_stride;
    float own = load(scores, place, recipe->kind) * scale, person = own;
    if (recipe->activation == SIGMOID) person = 1.0f / (1.0f + expf(-own));
    if (recipe->activation == SOFTMAX) {
        float total = 0.0f;
        for (int channel = 0; channel < recipe->channels; ++channel) {
            float other = load(scores, first + (long long)channel * recipe->channel_stride,
                               recipe->kind);
            total += expf(other * scale - own);
        }
        person = 1.0f / total;
    }
    bool sound = is_number(person);
    if (!sound) *damaged = 1;
    person = sound ? fminf(fmaxf(person, 0.0f), 1.0f) : 0.0f;
    bytes[pixel] = (byte)rintf(person * 255.0f);
}
