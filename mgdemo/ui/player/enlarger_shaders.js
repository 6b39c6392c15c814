/**
 * The shaders that enlarge a picture, in GLSL.
 *
 * A first pass (GUIDE) looks at each pixel of the picture as it came: does an edge go through here, which way, and how
 * strong is it? From the gradients of the lightness around it, squared and summed (the structure tensor), it keeps how
 * much more there is across than along the edge, as a vector at twice the edge's angle, which can be averaged, and
 * the strength.
 *
 * The second pass (ENLARGE) weighs the 4x4 pixels around each pixel of the screen by their distance, with a negative
 * rim, as a sharp interpolation does; but distances along an edge count less than those across it, so edges become
 * smooth lines instead of stairs. The result stays between the darkest and the lightest pixels around, of which the
 * nearest four count most, so there are no halos; and within these bounds an S-shaped curve makes edges steeper. Where
 * there is no edge, weights and curve are softer, so that noise is not sharpened.
 *
 * The numbers were fitted to true frames of all three worlds (`python -m benchmarks.scaling` judges them).
 */

const HEAD = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D picture;
out vec4 color;
vec3 pixel(ivec2 at) { return texelFetch(picture, clamp(at, ivec2(0), textureSize(picture, 0) - 1), 0).rgb; }
`;

export const TRIANGLE = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4. - 1., 0., 1.); }
`;

export const GUIDE = `${HEAD}
float light[25];
void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  for (int i = 0; i < 25; i++)
    light[i] = dot(pixel(here + ivec2(i % 5 - 2, i / 5 - 2)), vec3(.299, .587, .114));
  vec3 sum = vec3(0.);
  for (int y = 1; y < 4; y++)
    for (int x = 1; x < 4; x++) {
      int i = 5 * y + x;
      vec2 slope = vec2(
        3. * (light[i - 4] - light[i - 6] + light[i + 6] - light[i + 4]) + 10. * (light[i + 1] - light[i - 1]),
        3. * (light[i + 4] - light[i - 6] + light[i + 6] - light[i - 4]) + 10. * (light[i + 5] - light[i - 5])
      ) / 32.;
      float share = float((2 - abs(x - 2)) * (2 - abs(y - 2))) / 16.;
      sum += share * vec3(slope.x * slope.x - slope.y * slope.y, 2. * slope.x * slope.y, dot(slope, slope));
    }
  color = vec4(.5 + .5 * sum.xy / (sum.z + 2e-5), sum.z / (sum.z + .008), 1.);
}
`;

export const ENLARGE = `${HEAD}
uniform sampler2D guide;
uniform vec2 drawn; // width and height on the screen
void main() {
  vec2 part = gl_FragCoord.xy / drawn;
  part.y = 1. - part.y; // the picture begins at the top
  vec2 at = part * vec2(textureSize(picture, 0)) - .5;
  vec3 hint = textureLod(guide, part, 0.).xyz;
  vec2 across = 2. * hint.xy - 1.;
  float edge = hint.z;
  float wide = .85 - .16 * edge, narrow = .385 - .245 * edge, rim = .86 + .325 * edge;
  vec2 offset = fract(at);
  vec3 sum = vec3(0.), least = vec3(1.), most = vec3(0.), nearLeast = vec3(1.), nearMost = vec3(0.);
  float weights = 0.;
  for (int y = -1; y < 3; y++)
    for (int x = -1; x < 3; x++) {
      vec3 there = pixel(ivec2(floor(at)) + ivec2(x, y));
      vec2 d = vec2(x, y) - offset;
      float far = wide * dot(d, d) + narrow * (across.x * (d.x * d.x - d.y * d.y) + across.y * 2. * d.x * d.y);
      float fall = max(0., 1. - far / 4.);
      vec2 window = 1. - d * d / 4.; // or pixels would come and go with a jump
      float weight = (1. - rim * far) * fall * fall * window.x * window.y;
      sum += weight * there;
      weights += weight;
      bool insideX = x == 0 || x == 1, insideY = y == 0 || y == 1;
      if (insideX || insideY) {
        least = min(least, there);
        most = max(most, there);
      }
      if (insideX && insideY) {
        nearLeast = min(nearLeast, there);
        nearMost = max(nearMost, there);
      }
    }
  least = mix(nearLeast, least, .5);
  vec3 range = mix(nearMost, most, .5) - least;
  vec3 share = clamp((sum / weights - least) / (range + 1e-4), 0., 1.);
  share += (.6 + .4 * edge) * share * (1. - share) * (2. * share - 1.);
  color = vec4(least + range * share, 1.);
}
`;
